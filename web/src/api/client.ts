// One way to call the API: same origin, JSON, problems as errors.
import type { ProblemBody } from './wire';

const BASE_PATH = '/api/v1';

/** An answer that was not a success, with what the server said about it. */
export class Problem extends Error {
  readonly status: number;
  readonly body: ProblemBody;

  constructor(status: number, body: ProblemBody) {
    super(body.detail || body.title || `the server answered ${status}`);
    this.name = 'Problem';
    this.status = status;
    this.body = body;
  }
}

type Query = Record<string, string | number | boolean | readonly string[] | undefined | null>;

/** Query string of the given parameters; empty values are left out and lists repeat their key. */
export function queryText(query: Query): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value === undefined || value === null || value === '') continue;
    if (Array.isArray(value)) for (const one of value) params.append(key, one);
    else params.append(key, String(value));
  }
  const text = params.toString();
  return text ? `?${text}` : '';
}

const signedOutListeners = new Set<() => void>();

type Incomplete = (files: readonly string[]) => void;
const incompleteListeners = new Set<Incomplete>();

/** Calls back with the damaged files whenever an answer is without what is in them. */
export function onIncomplete(listener: Incomplete): () => void {
  incompleteListeners.add(listener);
  return () => {
    incompleteListeners.delete(listener);
  };
}

function missingFiles(body: unknown): readonly string[] {
  const files = (body as { missing_files?: unknown } | null)?.missing_files;
  return Array.isArray(files) ? files.filter((file) => typeof file === 'string') : [];
}

/** Calls back whenever any request is answered 401. */
export function onSignedOut(listener: () => void): () => void {
  signedOutListeners.add(listener);
  return () => {
    signedOutListeners.delete(listener);
  };
}

interface Request {
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  query?: Query;
  body?: unknown;
  ifMatch?: string;
  signal?: AbortSignal;
}

async function problemFrom(response: Response): Promise<Problem> {
  const text = await response.text().catch(() => '');
  try {
    return new Problem(response.status, JSON.parse(text) as ProblemBody);
  } catch {
    return new Problem(response.status, { title: response.statusText, detail: text.slice(0, 300) });
  }
}

/** Calls `path` below /api/v1 and returns its JSON; throws `Problem` on anything but success. */
export async function call<T>(path: string, request: Request = {}): Promise<T> {
  const headers: Record<string, string> = { accept: 'application/json' };
  if (request.body !== undefined) headers['content-type'] = 'application/json';
  if (request.ifMatch) headers['if-match'] = request.ifMatch;
  const response = await fetch(`${BASE_PATH}${path}${queryText(request.query ?? {})}`, {
    method: request.method ?? 'GET',
    headers,
    credentials: 'same-origin',
    body: request.body === undefined ? undefined : JSON.stringify(request.body),
    signal: request.signal,
  });
  if (response.ok) {
    const body: unknown = response.status === 204 ? undefined : await response.json();
    const missing = missingFiles(body);
    if (missing.length > 0) for (const listener of incompleteListeners) listener(missing);
    return body as T;
  }
  if (response.status === 401) for (const listener of signedOutListeners) listener();
  throw await problemFrom(response);
}

export function eventSourceUrl(path: string): string {
  return `${BASE_PATH}${path}`;
}
