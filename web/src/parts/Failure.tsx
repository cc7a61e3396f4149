// What people see when something was not found, refused, or broke.
import { Button } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { Problem } from '../api/client';
import css from './parts.module.css';

function explain(error: unknown): { title: string; detail: string; traceId?: string } {
  if (error instanceof Problem) {
    const { title, detail, field, limit, trace_id: traceId } = error.body;
    const where = field ? ` (field ${field}${limit === undefined ? '' : `, limit ${limit}`})` : '';
    return { title: title || `Error ${error.status}`, detail: `${detail || error.message}${where}`, traceId };
  }
  if (error instanceof TypeError) {
    return {
      title: 'The server does not answer',
      detail: 'Check that tracehound is running, then try again.',
    };
  }
  return { title: 'Something went wrong', detail: error instanceof Error ? error.message : String(error) };
}

/** Ranges offered when the chosen one is more than a query may read. */
const SHORTER_RANGES = ['15m', '5m'];

function ShorterRanges() {
  return SHORTER_RANGES.map((range) => (
    <Button
      key={range}
      variant="default"
      mr={8}
      renderRoot={(props) => (
        <Link to="." search={(before) => ({ ...before, range, from: undefined, to: undefined })} {...props} />
      )}
    >
      Last {range}
    </Button>
  ));
}

/** An error in the place of the thing that could not be shown. */
export function ProblemNotice({ error, retry }: { error: unknown; retry?: () => void }) {
  const { title, detail, traceId } = explain(error);
  return (
    <div className={css.notice} role="alert">
      <IconAlertTriangle size={20} color="var(--critical)" aria-hidden />
      <div>
        <h2>{title}</h2>
        <p>{detail}</p>
        {traceId && <p className="muted mono">request trace {traceId}</p>}
        {error instanceof Problem && error.status === 413 && <ShorterRanges />}
        {retry && (
          <Button variant="default" onClick={retry}>
            Try again
          </Button>
        )}
      </div>
    </div>
  );
}

export function NotFound() {
  return (
    <main className={css.empty} style={{ height: '100%' }}>
      <h1>No such page</h1>
      <p>The address does not lead anywhere in Tracehound.</p>
      <Link to="/traces">Go to traces</Link>
    </main>
  );
}

export function RouteFailure({ error, reset }: { error: unknown; reset: () => void }) {
  return (
    <main>
      <ProblemNotice error={error} retry={reset} />
    </main>
  );
}
