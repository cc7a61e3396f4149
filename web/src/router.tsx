// Every page of the interface: its path, its typed search parameters, and its lazily loaded component.
import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
  retainSearchParams,
} from '@tanstack/react-router';
import { cache } from './api/cache';
import { alertQuery, sessionQuery, traceQuery } from './api/queries';
import { NotFound, RouteFailure } from './parts/Failure';
import { LoginPage } from './session/LoginPage';
import { Shell } from './shell/Shell';
import { parseSearch, stringifySearch } from './url/params';
import {
  readAlerts,
  readLogin,
  readLogs,
  readMap,
  readRule,
  readRules,
  readTrace,
  readTraces,
  readView,
} from './url/view';

const root = createRootRoute({
  validateSearch: readView,
  search: { middlewares: [retainSearchParams(['range', 'from', 'to', 'tz', 'refresh'])] },
  notFoundComponent: NotFound,
  errorComponent: RouteFailure,
});

const login = createRoute({
  getParentRoute: () => root,
  path: '/login',
  validateSearch: readLogin,
  component: LoginPage,
});

/** Everything behind the login, inside the shell. */
const shell = createRoute({
  getParentRoute: () => root,
  id: 'shell',
  loader: () => {
    void cache.prefetchQuery(sessionQuery);
  },
  component: Shell,
});

const home = createRoute({
  getParentRoute: () => shell,
  path: '/',
  beforeLoad: () => {
    throw redirect({ to: '/traces', replace: true });
  },
});

const traces = createRoute({
  getParentRoute: () => shell,
  path: '/traces',
  validateSearch: readTraces,
  component: lazyRouteComponent(() => import('./traces/TracesPage'), 'TracesPage'),
});

const trace = createRoute({
  getParentRoute: () => shell,
  path: '/traces/$traceId',
  validateSearch: readTrace,
  // Asked for while the page's code still loads; the page itself reports what goes wrong.
  loader: ({ params }) => {
    void cache.prefetchQuery(traceQuery(params.traceId));
  },
  component: lazyRouteComponent(() => import('./trace/TracePage'), 'TracePage'),
});

const logs = createRoute({
  getParentRoute: () => shell,
  path: '/logs',
  validateSearch: readLogs,
  component: lazyRouteComponent(() => import('./logs/LogsPage'), 'LogsPage'),
});

const map = createRoute({
  getParentRoute: () => shell,
  path: '/map',
  validateSearch: readMap,
  component: lazyRouteComponent(() => import('./map/MapPage'), 'MapPage'),
});

const alerts = createRoute({
  getParentRoute: () => shell,
  path: '/alerts',
  validateSearch: readAlerts,
  component: lazyRouteComponent(() => import('./alerts/AlertsPage'), 'AlertsPage'),
});

const alert = createRoute({
  getParentRoute: () => shell,
  path: '/alerts/$alertId',
  loader: ({ params }) => {
    void cache.prefetchQuery(alertQuery(params.alertId));
  },
  component: lazyRouteComponent(() => import('./alerts/AlertPage'), 'AlertPage'),
});

const rules = createRoute({
  getParentRoute: () => shell,
  path: '/rules',
  validateSearch: readRules,
  component: lazyRouteComponent(() => import('./rules/RulesPage'), 'RulesPage'),
});

const newRule = createRoute({
  getParentRoute: () => shell,
  path: '/rules/new',
  validateSearch: readRule,
  component: lazyRouteComponent(() => import('./rules/NewRulePage'), 'NewRulePage'),
});

const rule = createRoute({
  getParentRoute: () => shell,
  path: '/rules/$file',
  component: lazyRouteComponent(() => import('./rules/RulePage'), 'RulePage'),
});

export const router = createRouter({
  routeTree: root.addChildren([
    login,
    shell.addChildren([home, traces, trace, logs, map, alerts, alert, rules, newRule, rule]),
  ]),
  parseSearch,
  stringifySearch,
  defaultPreload: 'intent',
  defaultPendingMs: 300,
  scrollRestoration: true,
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
