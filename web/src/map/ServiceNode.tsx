// One service on the map.
import { Handle, Position } from '@xyflow/react';
import type { ServiceSummary } from '../api/wire';
import { serviceColor } from '../parts/palette';
import { formatDuration } from '../time/nanos';
import css from './map.module.css';
import { formatRate, formatShare } from './red';

interface ServiceNodeProps {
  selected?: boolean;
  data: { service?: ServiceSummary; secs: number; dim: boolean };
}

export function ServiceNode({ data, selected }: ServiceNodeProps) {
  const { service, secs, dim } = data;
  if (!service) return null;
  const share = service.spans > 0 ? service.errors / service.spans : 0;
  return (
    <div
      className={css.node}
      data-selected={selected}
      data-dim={dim}
      data-bad={share >= 0.05}
      data-outside={service.is_outside}
    >
      <Handle type="target" position={Position.Left} className={css.handle} isConnectable={false} />
      <div className={css.nodeName}>
        <span style={{ background: serviceColor(service.name) }} />
        <b className="ellipsis" title={service.name}>
          {service.name}
        </b>
      </div>
      {!service.is_outside ? (
        <div className={`${css.red} num`}>
          <span title="Spans per time">{formatRate(service.spans, secs)}</span>
          <span title="Share of errors" data-bad={service.errors > 0}>
            {formatShare(service.errors, service.spans)} err
          </span>
          <span title="95th percentile of duration">{formatDuration(service.p95_nanos)}</span>
        </div>
      ) : (
        <div className={css.red}>outside, sends no spans</div>
      )}
      <div className={css.health}>
        <span style={{ width: `${Math.min(100, share * 100)}%` }} />
      </div>
      <Handle type="source" position={Position.Right} className={css.handle} isConnectable={false} />
    </div>
  );
}
