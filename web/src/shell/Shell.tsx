// The frame around every page: navigation, tools of the view, and the session gate.
import { Loader } from '@mantine/core';
import { spotlight } from '@mantine/spotlight';
import {
  IconAffiliate,
  IconBell,
  IconListDetails,
  IconNotes,
  IconSearch,
  IconShieldCog,
} from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, Outlet } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { onSignedOut, Problem } from '../api/client';
import { infoQuery, sessionQuery } from '../api/queries';
import { ProblemNotice } from '../parts/Failure';
import { SignedOut } from '../session/SignedOut';
import { AlertStreamProvider, useAlertStream } from './AlertStream';
import { Incomplete } from './Incomplete';
import { Logo } from './Logo';
import { Palette } from './Palette';
import { Shortcuts } from './Shortcuts';
import css from './shell.module.css';
import { UserMenu } from './UserMenu';
import { ViewTools } from './ViewTools';

const PAGES = [
  { to: '/traces', label: 'Traces', icon: IconListDetails },
  { to: '/logs', label: 'Logs', icon: IconNotes },
  { to: '/map', label: 'Service map', icon: IconAffiliate },
  { to: '/alerts', label: 'Alerts', icon: IconBell },
  { to: '/rules', label: 'Rules', icon: IconShieldCog },
] as const;

function Navigation() {
  const { data: info } = useQuery(infoQuery);
  const { unseen } = useAlertStream();
  return (
    <nav className={css.nav} aria-label="Main">
      <Link to="/traces" className={css.brand}>
        <Logo size={26} />
        <span className={css.label}>Tracehound</span>
      </Link>
      <ul className={css.links}>
        {PAGES.map(({ to, label, icon: Icon }) => (
          <li key={to}>
            <Link to={to} className={css.link}>
              <Icon size={17} stroke={1.7} aria-hidden />
              <span className={css.label}>{label}</span>
              {to === '/alerts' && unseen.size > 0 && (
                <span className={css.count} title={`${unseen.size} new alerts`}>
                  {unseen.size > 99 ? '99+' : unseen.size}
                </span>
              )}
            </Link>
          </li>
        ))}
      </ul>
      <div className={css.foot}>
        {info?.demo && (
          <div className={css.demo}>Demo tenant: all traffic and attacks here are simulated.</div>
        )}
        <UserMenu />
        <div>
          <a href="/api/docs" style={{ color: 'inherit' }}>
            API
          </a>{' '}
          · v{info?.version ?? '…'}
        </div>
      </div>
    </nav>
  );
}

function Frame() {
  const { data: info } = useQuery(infoQuery);
  return (
    <div className={css.shell}>
      <a href="#content" className={css.skip}>
        Skip to content
      </a>
      <Navigation />
      <header className={css.bar}>
        <button type="button" className={css.jump} onClick={spotlight.open}>
          <IconSearch size={14} aria-hidden />
          <span className="ellipsis">Jump to page, service, trace id…</span>
          <kbd>Ctrl K</kbd>
        </button>
        {info?.demo && <span className={css.watermark}>Demo data</span>}
        <div className={css.spacer} />
        <ViewTools />
      </header>
      <main className={css.main} id="content" tabIndex={-1}>
        <Incomplete />
        <Outlet />
      </main>
      <Palette />
      <Shortcuts />
    </div>
  );
}

export function Shell() {
  const session = useQuery(sessionQuery);
  const queries = useQueryClient();
  const [signedOut, setSignedOut] = useState(false);

  useEffect(
    () =>
      onSignedOut(() => {
        setSignedOut(true);
        queries.cancelQueries();
      }),
    [queries],
  );

  if (signedOut || (session.error instanceof Problem && session.error.status === 401)) return <SignedOut />;
  if (session.error) return <ProblemNotice error={session.error} retry={() => session.refetch()} />;
  if (!session.data) {
    return (
      <main style={{ height: '100%', display: 'grid', placeItems: 'center' }}>
        <Loader size="sm" role="status" aria-label="Loading" />
      </main>
    );
  }
  return (
    <AlertStreamProvider>
      <Frame />
    </AlertStreamProvider>
  );
}
