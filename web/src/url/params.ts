// Search parameters as plain, readable text in the URL, and the readers that make typed values of them.

export type RawSearch = Record<string, unknown>;

/** "?a=1&b=x&b=y" to {a: "1", b: ["x", "y"]}. Values stay text: an all-digit trace id is not a number. */
export function parseSearch(text: string): RawSearch {
  const out: Record<string, string | string[]> = {};
  for (const [key, value] of new URLSearchParams(text)) {
    const before = out[key];
    if (before === undefined) out[key] = value;
    else if (Array.isArray(before)) before.push(value);
    else out[key] = [before, value];
  }
  return out;
}

/** The inverse: lists repeat their key; undefined, false, empty text and empty lists vanish. */
export function stringifySearch(search: RawSearch): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(search)) {
    if (value === undefined || value === null || value === '' || value === false) continue;
    if (Array.isArray(value)) for (const one of value) params.append(key, String(one));
    else params.append(key, String(value));
  }
  const text = params.toString();
  return text ? `?${text}` : '';
}

const MAX_TEXT_CHARS = 2_000;
const MAX_LIST_ITEMS = 64;

export function text(raw: RawSearch, key: string): string | undefined {
  const value = Array.isArray(raw[key]) ? (raw[key] as unknown[])[0] : raw[key];
  if (typeof value === 'number') return String(value);
  if (typeof value !== 'string' || value === '') return undefined;
  return value.slice(0, MAX_TEXT_CHARS);
}

export function texts(raw: RawSearch, key: string): string[] | undefined {
  const value = raw[key];
  const list = (Array.isArray(value) ? value : value === undefined ? [] : [value])
    .filter((one): one is string | number => typeof one === 'string' || typeof one === 'number')
    .map(String)
    .filter((one) => one !== '');
  return list.length ? [...new Set(list)].slice(0, MAX_LIST_ITEMS) : undefined;
}

export function oneOf<const T extends string>(
  raw: RawSearch,
  key: string,
  allowed: readonly T[],
): T | undefined {
  const value = text(raw, key);
  return allowed.find((one) => one === value);
}

export function manyOf<const T extends string>(
  raw: RawSearch,
  key: string,
  allowed: readonly T[],
): T[] | undefined {
  const found = texts(raw, key)?.filter((one): one is T => (allowed as readonly string[]).includes(one));
  return found?.length ? found : undefined;
}

export function integer(raw: RawSearch, key: string, min: number, max: number): number | undefined {
  const value = text(raw, key);
  if (value === undefined || !/^\d+$/.test(value)) return undefined;
  return Math.min(max, Math.max(min, Number(value)));
}

export function flag(raw: RawSearch, key: string): true | undefined {
  return raw[key] === true || text(raw, key) === 'true' ? true : undefined;
}

/** Leaves out the keys without a value, so that equal views have equal URLs. */
export function compact<T extends object>(search: T): T {
  const out = {} as Record<string, unknown>;
  for (const [key, value] of Object.entries(search)) if (value !== undefined) out[key] = value;
  return out as T;
}
