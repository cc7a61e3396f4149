// Links to other sites, only when they are http or https; anything else stays text.

export function isWebLink(text: string): boolean {
  try {
    const { protocol } = new URL(text);
    return protocol === 'http:' || protocol === 'https:';
  } catch {
    return false;
  }
}

export function SafeLink({ href }: { href: string }) {
  if (!isWebLink(href)) return <span style={{ overflowWrap: 'anywhere' }}>{href}</span>;
  return (
    <a href={href} target="_blank" rel="noopener noreferrer" style={{ overflowWrap: 'anywhere' }}>
      {href}
    </a>
  );
}
