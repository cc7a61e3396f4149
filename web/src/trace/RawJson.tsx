// The trace as the API answered it.
import { useMemo } from 'react';
import type { Trace } from '../api/wire';
import { CopyIcon } from '../parts/CodeBlock';
import css from './trace.module.css';

/** A page of more text than this stops being usable; the download has all of it. */
const MAX_SPANS_SHOWN = 200;

export function RawJson({ trace }: { trace: Trace }) {
  const cut = trace.spans.length > MAX_SPANS_SHOWN;
  const text = useMemo(
    () => JSON.stringify(cut ? { ...trace, spans: trace.spans.slice(0, MAX_SPANS_SHOWN) } : trace, null, 2),
    [trace, cut],
  );
  return (
    <div className={css.logs}>
      <div className={css.toolbar}>
        <span className="muted">
          GET /api/v1/traces/{trace.trace_id}
          {cut &&
            ` · the first ${MAX_SPANS_SHOWN} of ${trace.spans.length.toLocaleString('en')} spans; Download has all`}
        </span>
        <CopyIcon value={text} label="Copy JSON" />
      </div>
      <pre className={`${css.json} mono`} tabIndex={0} role="region" aria-label="Trace as JSON">
        {text}
      </pre>
    </div>
  );
}
