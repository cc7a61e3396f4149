// One alert: why it fired, on what evidence, and what was done about it.
import { Button, Loader } from '@mantine/core';
import { IconArrowLeft, IconCheck, IconEye, IconRotate } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { type ReactNode, useEffect, useState } from 'react';
import { Problem } from '../api/client';
import { alertQuery } from '../api/queries';
import type { AlertDetail, AlertStatus } from '../api/wire';
import { Empty } from '../parts/Empty';
import { ProblemNotice } from '../parts/Failure';
import { LevelMark, Pair, StatusMark } from '../parts/Marks';
import { isTyping } from '../parts/rowKeys';
import { SafeLink } from '../parts/SafeLink';
import { useAlertStream } from '../shell/AlertStream';
import { Time } from '../time/clock';
import { ActivityList, DeliveryTable } from './Activity';
import css from './alerts.module.css';
import { EvidenceTable } from './EvidenceTable';
import { type StatusChange, StatusDialog } from './StatusDialog';
import { Tags } from './Tags';

const route = getRouteApi('/shell/alerts/$alertId');

function Section({ title, aside, children }: { title: string; aside?: ReactNode; children: ReactNode }) {
  return (
    <section className={css.section}>
      <h2>
        {title} {aside}
      </h2>
      {children}
    </section>
  );
}

function Actions({ alert, onChange }: { alert: AlertDetail; onChange: (status: AlertStatus) => void }) {
  return (
    <div className={css.actions}>
      {alert.status === 'open' && (
        <Button leftSection={<IconEye size={14} />} onClick={() => onChange('acknowledged')} title="a">
          Acknowledge
        </Button>
      )}
      {alert.status !== 'closed' && (
        <Button
          variant="default"
          leftSection={<IconCheck size={14} />}
          onClick={() => onChange('closed')}
          title="c"
        >
          Close
        </Button>
      )}
      {alert.status !== 'open' && (
        <Button variant="default" leftSection={<IconRotate size={14} />} onClick={() => onChange('open')}>
          Reopen
        </Button>
      )}
    </div>
  );
}

function Side({ alert }: { alert: AlertDetail }) {
  return (
    <aside className={css.side} aria-label="Facts about the alert">
      <dl>
        <dt>Rule</dt>
        <dd>
          <Link to="/rules/$file" params={{ file: alert.rule_id }}>
            {alert.rule_title}
          </Link>
          {alert.author && <div className="muted">by {alert.author}</div>}
        </dd>
        <dt>Entity</dt>
        <dd className={css.groupList}>
          {Object.entries(alert.group).map(([name, value]) => (
            <Pair key={name} name={name} value={value} />
          ))}
          {Object.keys(alert.group).length === 0 && <span className="muted">the whole tenant</span>}
        </dd>
        <dt>Detections</dt>
        <dd className="num">{alert.count.toLocaleString('en')}</dd>
        <dt>Events</dt>
        <dd className="num">
          {(alert.evidence.length + (alert.evidence_omitted ?? 0)).toLocaleString('en')}
        </dd>
        <dt>First seen</dt>
        <dd>
          <Time at={alert.first_seen_time} />
        </dd>
        <dt>Last seen</dt>
        <dd>
          <Time at={alert.last_seen_time} />
        </dd>
        <dt>Raised</dt>
        <dd>
          <Time at={alert.created_time} />
        </dd>
        {alert.tags.length > 0 && (
          <>
            <dt>Tags</dt>
            <dd>
              <Tags tags={alert.tags} />
            </dd>
          </>
        )}
        <dt>Alert id</dt>
        <dd className="mono" style={{ overflowWrap: 'anywhere' }}>
          {alert.id}
        </dd>
      </dl>
    </aside>
  );
}

/** Rule files wrap their lines; here only empty lines and list items begin a new one. */
function unwrapped(text: string): string {
  return text.trim().replace(/([^\n])\n(?!\n|\s*(?:[-*]|\d+\.)\s)/g, '$1 ');
}

function Guidance({ alert }: { alert: AlertDetail }) {
  const { description, false_positives: falsePositives = [], references = [], runbook } = alert;
  return (
    <>
      {description && (
        <Section title="What the rule looks for">
          <p className={css.prose}>{unwrapped(description)}</p>
        </Section>
      )}
      {runbook && (
        <Section title="Runbook">
          <p className={css.prose}>
            <SafeLink href={runbook} />
          </p>
        </Section>
      )}
      {falsePositives.length > 0 && (
        <Section title="Known false positives">
          <ul className={css.plainList}>
            {falsePositives.map((text) => (
              <li key={text}>{text}</li>
            ))}
          </ul>
        </Section>
      )}
      {references.length > 0 && (
        <Section title="References">
          <ul className={css.plainList}>
            {references.map((href) => (
              <li key={href}>
                <SafeLink href={href} />
              </li>
            ))}
          </ul>
        </Section>
      )}
    </>
  );
}

export function AlertPage() {
  const { alertId } = route.useParams();
  const { data: alert, error, refetch } = useQuery(alertQuery(alertId));
  const { markSeen } = useAlertStream();
  const [change, setChange] = useState<StatusChange | null>(null);
  useEffect(() => markSeen(alertId), [alertId, markSeen]);

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (!alert || change || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target))
        return;
      const status =
        event.key === 'a' && alert.status === 'open'
          ? 'acknowledged'
          : event.key === 'c' && alert.status !== 'closed'
            ? 'closed'
            : null;
      if (!status) return;
      event.preventDefault();
      setChange({ id: alert.id, title: alert.rule_title, status });
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, [alert, change]);

  if (error instanceof Problem && error.status === 404) {
    return (
      <Empty title="No such alert">
        <p className="mono">{alertId}</p>
        <Link to="/alerts">To the alerts</Link>
      </Empty>
    );
  }
  if (error) return <ProblemNotice error={error} retry={() => void refetch()} />;
  if (!alert) {
    return (
      <div style={{ display: 'grid', placeItems: 'center', height: '60%' }}>
        <Loader size="sm" role="status" aria-label="Loading the alert" />
      </div>
    );
  }
  return (
    <div className={css.alert}>
      <header className={css.alertHead} data-level={alert.severity}>
        <Link to="/alerts" search={{ at: alert.id }} className={css.back}>
          <IconArrowLeft size={14} aria-hidden /> Alerts
        </Link>
        <div className={css.alertTitle}>
          <h1>{alert.rule_title}</h1>
          <Actions
            alert={alert}
            onChange={(status) => setChange({ id: alert.id, title: alert.rule_title, status })}
          />
        </div>
        <div className={css.marks}>
          <LevelMark level={alert.severity} />
          <StatusMark status={alert.status} />
        </div>
        <p className={css.sentence}>{alert.reason}</p>
      </header>
      <div className={css.body}>
        <div>
          <Section title="Evidence" aside={<span className="muted num">{alert.evidence.length}</span>}>
            <EvidenceTable alert={alert} />
          </Section>
          <Guidance alert={alert} />
          <Section title="Activity">
            <ActivityList activity={alert.activity} />
          </Section>
          {alert.deliveries.length > 0 && (
            <Section title="Deliveries">
              <DeliveryTable deliveries={alert.deliveries} />
            </Section>
          )}
        </div>
        <Side alert={alert} />
      </div>
      <StatusDialog change={change} onDone={() => setChange(null)} />
    </div>
  );
}
