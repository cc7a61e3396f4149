// Hostile text from telemetry or rules never becomes a link that runs.
import { renderToStaticMarkup } from 'react-dom/server';
import { describe, expect, it } from 'vitest';
import { tagName } from '../alerts/attack';
import { SafeLink } from './SafeLink';

describe('SafeLink', () => {
  it('links http and https', () => {
    expect(renderToStaticMarkup(<SafeLink href="https://example.org/a" />)).toContain(
      '<a href="https://example.org/a"',
    );
  });

  it.each(['javascript:alert(1)', 'JAVASCRIPT:alert(1)', 'data:text/html,x', 'vbscript:x', '//host', 'x'])(
    'shows %s as text',
    (href) => {
      const html = renderToStaticMarkup(<SafeLink href={href} />);
      expect(html).not.toContain('<a');
      expect(html).toContain('<span');
    },
  );
});

describe('tagName', () => {
  it('names ATT&CK and OWASP tags', () => {
    expect(tagName('attack.t1110.004')).toMatchObject({ short: 'T1110.004', name: 'Credential Stuffing' });
    expect(tagName('attack.credential_access')).toEqual({ short: 'Credential Access' });
    expect(tagName('owasp.api7').name).toBe('Server Side Request Forgery');
    expect(tagName('team.red')).toEqual({ short: 'team.red' });
  });
});
