// Small marks used on every page: levels, states, services, key=value pairs.
import type { AlertStatus, Level } from '../api/wire';
import { serviceColor } from './palette';
import css from './parts.module.css';

export function LevelMark({ level }: { level: Level }) {
  return (
    <span className={css.level} data-level={level}>
      {level === 'informational' ? 'info' : level}
    </span>
  );
}

const STATUS_LEVEL: Record<AlertStatus, string> = {
  open: 'critical',
  acknowledged: 'medium',
  closed: 'good',
};

export function StatusMark({ status }: { status: AlertStatus }) {
  return (
    <span
      className={css.level}
      data-level={STATUS_LEVEL[status] ?? 'neutral'}
      style={{ background: 'none', padding: 0 }}
    >
      <svg width="8" height="8" aria-hidden="true">
        <circle
          cx="4"
          cy="4"
          r={status === 'closed' ? 2.8 : 3.5}
          fill={status === 'closed' ? 'none' : 'currentColor'}
          stroke="currentColor"
          strokeWidth="1.2"
        />
      </svg>
      {status}
    </span>
  );
}

export function StateMark({
  state,
  text,
}: {
  state: 'good' | 'critical' | 'medium' | 'neutral';
  text: string;
}) {
  return (
    <span className={css.level} data-level={state} style={{ textTransform: 'none' }}>
      {text}
    </span>
  );
}

export function ServiceMark({ name, muted = false }: { name: string; muted?: boolean }) {
  return (
    <span className={css.service} title={name}>
      <span className={css.dot} style={{ background: serviceColor(name) }} aria-hidden />
      <span className={`ellipsis${muted ? ' muted' : ''}`}>{name}</span>
    </span>
  );
}

export function plain(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}

export function Pair({ name, value }: { name: string; value: unknown }) {
  return (
    <span className={css.pair} title={`${name} = ${plain(value)}`}>
      <span>{name}</span>
      <span>{plain(value)}</span>
    </span>
  );
}
