// Ctrl-K: jump to a page, a service or a pasted trace id.
import { Spotlight, type SpotlightActionData, type SpotlightActionGroupData } from '@mantine/spotlight';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { rulesQuery, servicesQuery } from '../api/queries';
import { useRange } from '../time/clock';

const TRACE_ID = /^[0-9a-f]{32}$/i;

export function Palette() {
  const navigate = useNavigate();
  const range = useRange();
  const [query, setQuery] = useState('');
  const [opened, setOpened] = useState(false);
  const { data: services } = useQuery({ ...servicesQuery(range), enabled: opened });
  const { data: rules } = useQuery({ ...rulesQuery, enabled: opened });

  const pages: SpotlightActionData[] = [
    { id: 'traces', label: 'Traces', onClick: () => void navigate({ to: '/traces' }) },
    {
      id: 'trace-errors',
      label: 'Traces with errors',
      onClick: () => void navigate({ to: '/traces', search: { status: 'error' } }),
    },
    { id: 'logs', label: 'Logs', onClick: () => void navigate({ to: '/logs' }) },
    {
      id: 'log-errors',
      label: 'Error logs',
      onClick: () => void navigate({ to: '/logs', search: { severity: 'error' } }),
    },
    { id: 'map', label: 'Service map', onClick: () => void navigate({ to: '/map' }) },
    { id: 'alerts', label: 'Alerts', onClick: () => void navigate({ to: '/alerts' }) },
    { id: 'rules', label: 'Rules', onClick: () => void navigate({ to: '/rules' }) },
    { id: 'new-rule', label: 'New rule', onClick: () => void navigate({ to: '/rules/new' }) },
  ];
  const groups: SpotlightActionGroupData[] = [{ group: 'Pages', actions: pages }];
  const id = query.trim();
  if (TRACE_ID.test(id)) {
    groups.unshift({
      group: 'Trace',
      actions: [
        {
          id: 'open-trace',
          label: `Open trace ${id}`,
          keywords: [id],
          onClick: () => void navigate({ to: '/traces/$traceId', params: { traceId: id.toLowerCase() } }),
        },
      ],
    });
  }
  groups.push({
    group: 'Services',
    actions: (services?.items ?? []).map((service) => ({
      id: `service-${service.name}`,
      label: service.name,
      description: `${service.spans.toLocaleString('en')} spans: show its traces`,
      onClick: () => void navigate({ to: '/traces', search: { service: service.name } }),
    })),
  });
  groups.push({
    group: 'Rules',
    actions: (rules?.items ?? []).map((rule) => ({
      id: `rule-${rule.id}`,
      label: rule.title,
      description: rule.file,
      onClick: () => void navigate({ to: '/rules/$file', params: { file: rule.file } }),
    })),
  });

  return (
    <Spotlight
      actions={groups}
      query={query}
      onQueryChange={setQuery}
      onSpotlightOpen={() => setOpened(true)}
      onSpotlightClose={() => setOpened(false)}
      shortcut={['mod + K']}
      nothingFound="Nothing found. A full trace id (32 hex digits) opens that trace."
      highlightQuery
      scrollable
      maxHeight={420}
      limit={40}
      attributes={{ content: { 'aria-label': 'Jump to' } }}
      searchProps={{ placeholder: 'Jump to page, service, rule or trace id', 'aria-label': 'Jump to' }}
    />
  );
}
