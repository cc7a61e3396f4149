// One caller-callee connection with its rate, errors and duration.
import { BaseEdge, EdgeLabelRenderer, type EdgeProps } from '@xyflow/react';
import { formatDuration } from '../time/nanos';
import { type Routed, smoothPath } from './layout';
import css from './map.module.css';
import { formatRate, formatShare } from './red';

export interface CallEdgeData extends Record<string, unknown> {
  routed: Routed;
  secs: number;
  dim: boolean;
  near: boolean;
}

export function CallEdge({ id, data, style, markerEnd }: EdgeProps) {
  const { routed, secs, dim, near } = data as CallEdgeData;
  const { edge, points, label } = routed;
  return (
    <>
      <BaseEdge id={id} path={smoothPath(points)} style={style} markerEnd={markerEnd} interactionWidth={18} />
      <EdgeLabelRenderer>
        <div
          className={`${css.edgeLabel} num`}
          data-dim={dim}
          data-near={near}
          style={{ transform: `translate(-50%, -50%) translate(${label.x}px, ${label.y}px)` }}
        >
          {formatRate(edge.calls, secs)} · {formatDuration(edge.p95_nanos)}
          {edge.errors > 0 && <b>{formatShare(edge.errors, edge.calls)} err</b>}
        </div>
      </EdgeLabelRenderer>
    </>
  );
}
