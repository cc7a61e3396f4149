// Attribute filters as the API writes them: key=value, key!=value, key, !key.

export type FilterOp = 'eq' | 'ne' | 'exists' | 'absent';

export interface Filter {
  key: string;
  op: FilterOp;
  value?: string;
}

/** Reads one filter; null when it has no key. A value may hold any character, a key no "=" and no "!" in front. */
export function parseFilter(text: string): Filter | null {
  const trimmed = text.trim();
  const equals = trimmed.indexOf('=');
  if (equals < 0) {
    const absent = trimmed.startsWith('!');
    const key = (absent ? trimmed.slice(1) : trimmed).trim();
    if (!key || /[\s!]/.test(key)) return null;
    return { key, op: absent ? 'absent' : 'exists' };
  }
  const negated = trimmed[equals - 1] === '!';
  const key = trimmed.slice(0, negated ? equals - 1 : equals).trim();
  if (!key || /[\s!]/.test(key)) return null;
  let value = trimmed.slice(equals + 1).trim();
  if (value.length >= 2 && value.startsWith('"') && value.endsWith('"')) value = value.slice(1, -1);
  return { key, op: negated ? 'ne' : 'eq', value };
}

export function filterText(filter: Filter): string {
  switch (filter.op) {
    case 'eq':
      return `${filter.key}=${filter.value ?? ''}`;
    case 'ne':
      return `${filter.key}!=${filter.value ?? ''}`;
    case 'exists':
      return filter.key;
    case 'absent':
      return `!${filter.key}`;
  }
}

/** The list with `filter` in it once, or with it taken out when `on` is false. */
export function withFilter(
  filters: readonly string[] | undefined,
  filter: string,
  on = true,
): string[] | undefined {
  const rest = (filters ?? []).filter((one) => one !== filter);
  const next = on ? [...rest, filter] : rest;
  return next.length ? next : undefined;
}

/** The filter text for an attribute as it is shown on a span or log. */
export function attributeFilter(key: string, value: unknown, op: 'eq' | 'ne' = 'eq'): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return filterText({ key, op, value: text });
}
