// One found trace in the result list.
import { Link } from '@tanstack/react-router';
import type { TraceHit } from '../api/wire';
import { ServiceMark } from '../parts/Marks';
import { serviceColor } from '../parts/palette';
import { Time } from '../time/clock';
import { formatDuration } from '../time/nanos';
import css from './traces.module.css';

const MAX_SERVICES_SHOWN = 4;

export function TraceRow({ hit, longestNanos }: { hit: TraceHit; longestNanos: number }) {
  const share =
    longestNanos > 0 ? Math.min(100, Math.max(0.4, (hit.duration_nanos / longestNanos) * 100)) : 0;
  const hidden = hit.services.length - MAX_SERVICES_SHOWN;
  return (
    <Link to="/traces/$traceId" params={{ traceId: hit.trace_id }} className={css.row} data-row>
      <span className={css.when}>
        <Time at={hit.start_unix_nanos} />
      </span>
      <span className={css.root}>
        <ServiceMark name={hit.root_service || 'unknown'} />
        <span className="ellipsis muted" title={hit.root_name}>
          {hit.root_name}
        </span>
      </span>
      <span className={css.duration}>
        <span className={css.track}>
          <span
            className={css.fill}
            style={{ width: `${share}%`, background: serviceColor(hit.root_service) }}
          />
        </span>
        <span className="num">{formatDuration(hit.duration_nanos)}</span>
      </span>
      <span className={`${css.right} num`}>{hit.span_count.toLocaleString('en')}</span>
      <span className={`${css.right} num`}>
        {hit.error_count > 0 ? (
          <span className={css.errors}>{hit.error_count.toLocaleString('en')}</span>
        ) : (
          <span className="muted">0</span>
        )}
      </span>
      <span className={css.services}>
        {hit.services.slice(0, MAX_SERVICES_SHOWN).map((service) => (
          <span key={service.name} className={css.service} data-errors={service.errors > 0}>
            <span style={{ background: serviceColor(service.name) }} />
            {service.name}
            <b className="num">{service.spans}</b>
          </span>
        ))}
        {hidden > 0 && (
          <span className="muted" title={hit.services.map((service) => service.name).join(', ')}>
            +{hidden}
          </span>
        )}
      </span>
    </Link>
  );
}
