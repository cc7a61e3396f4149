// One colour per service name, the same on every page and in both themes.

/** FNV-1a, so that a name has its colour without any table. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  // The last bits of FNV are weak for short names; one more round mixes them.
  hash ^= hash >>> 15;
  return Math.imul(hash, 0x2c1b3c6d) >>> 0;
}

const HUES = 24;

export function serviceHue(name: string): number {
  return (hashText(name) % HUES) * (360 / HUES) + 8;
}

export function serviceColor(name: string): string {
  return `oklch(var(--svc-l) var(--svc-c) ${serviceHue(name)})`;
}

/** The same colour with its variables resolved, for canvas painting. */
export function serviceCanvasColor(name: string, style: CSSStyleDeclaration): string {
  const lightness = style.getPropertyValue('--svc-l').trim() || '0.6';
  const chroma = style.getPropertyValue('--svc-c').trim() || '0.13';
  return `oklch(${lightness} ${chroma} ${serviceHue(name)})`;
}
