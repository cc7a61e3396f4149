// Who did what to an alert, and where it was sent.
import type { Activity, Delivery } from '../api/wire';
import { StateMark } from '../parts/Marks';
import { Time } from '../time/clock';
import css from './alerts.module.css';

function sentence(entry: Activity): string {
  if (entry.to && entry.from) return `changed ${entry.from} to ${entry.to}`;
  if (entry.to === 'open' || entry.kind === 'opened') return 'raised the alert';
  if (entry.to) return `set it ${entry.to}`;
  return entry.kind.replaceAll('_', ' ');
}

export function ActivityList({ activity }: { activity: Activity[] }) {
  if (!activity.length) return <p className="muted">Nothing yet.</p>;
  return (
    <ol className={css.activity}>
      {activity.map((entry, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: entries are only ever added at the end
        <li key={index}>
          <div>
            <b>{entry.actor || 'tracehound'}</b> {sentence(entry)}
            <span className="muted">
              {' · '}
              <Time at={entry.time} precision="s" />
            </span>
          </div>
          {entry.comment && <blockquote>{entry.comment}</blockquote>}
        </li>
      ))}
    </ol>
  );
}

function stateOf(state: string): 'good' | 'critical' | 'medium' | 'neutral' {
  if (/deliver|sent|done|ok/.test(state)) return 'good';
  if (/dead|fail/.test(state)) return 'critical';
  if (/retry|pending|wait/.test(state)) return 'medium';
  return 'neutral';
}

export function DeliveryTable({ deliveries }: { deliveries: Delivery[] }) {
  return (
    <table className={css.evidence}>
      <thead>
        <tr>
          <th scope="col">Target</th>
          <th scope="col">State</th>
          <th scope="col">Attempts</th>
          <th scope="col">Last error</th>
          <th scope="col">Next attempt</th>
        </tr>
      </thead>
      <tbody>
        {deliveries.map((delivery, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: one target may appear several times
          <tr key={index}>
            <td className="mono">{delivery.target}</td>
            <td>
              <StateMark state={stateOf(delivery.state)} text={delivery.state.replaceAll('_', ' ')} />
            </td>
            <td className="num">{delivery.attempts}</td>
            <td>{delivery.last_error || <span className="muted">–</span>}</td>
            <td>
              {delivery.next_attempt_time ? (
                <Time at={delivery.next_attempt_time} precision="s" />
              ) : (
                <span className="muted">–</span>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
