// The whole view is in the address: what is written there is read back, and nonsense is left out.
import { describe, expect, it } from 'vitest';
import { parseSearch, stringifySearch } from './params';
import { readAlerts, readLogin, readLogs, readTrace, readTraces, readView } from './view';

const roundTrip = (search: object) => parseSearch(stringifySearch(search as Record<string, unknown>));

describe('the address', () => {
  it('gives every trace search back', () => {
    const search = {
      service: 'auth',
      operation: 'POST /login?next=/a&b=ü',
      filter: ['user.id=42', 'http.route', '!peer', 'q!=a=b&c'],
      min: '10ms',
      max: '1.5s',
      status: 'error' as const,
      kind: 'server' as const,
      limit: 200,
    };
    expect(readTraces(roundTrip(search))).toEqual(search);
  });

  it('gives the timeline back: span, zoom, folding', () => {
    const search = { span: 'a'.repeat(16), find: 'x y', zoom: '10-5000', depth: 0, fold: ['1', '2'] };
    expect(readTrace(roundTrip(search))).toEqual(search);
  });

  it('does not make numbers of ids made of digits', () => {
    const id = '00123456789012345678901234567890';
    expect(readLogs(roundTrip({ trace: id }))).toEqual({ trace: id });
  });

  it('gives lists of one back as lists', () => {
    expect(readAlerts(roundTrip({ status: ['closed'], severity: ['high', 'low'] }))).toEqual({
      status: ['closed'],
      severity: ['high', 'low'],
    });
  });

  it('leaves nonsense out instead of failing', () => {
    expect(readView(parseSearch('?range=never&tz=Mars/Olympus&from=x&refresh=9s'))).toEqual({});
    expect(readTraces(parseSearch('?status=angry&kind=&limit=-4&filter='))).toEqual({});
    expect(readTraces(parseSearch('?limit=999999'))).toEqual({ limit: 1000 });
    expect(readTrace(parseSearch('?zoom=a-b&depth=x&tab=nothing'))).toEqual({});
  });

  it('goes on to paths of this site only after the login', () => {
    expect(readLogin({ next: '/alerts?at=1' })).toEqual({ next: '/alerts?at=1' });
    expect(readLogin({ next: 'https://evil.example' })).toEqual({});
    expect(readLogin({ next: '//evil.example' })).toEqual({});
    expect(readLogin({ next: '/\\evil.example' })).toEqual({});
  });
});
