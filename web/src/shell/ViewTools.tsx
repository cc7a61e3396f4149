// The tools every view shares: time range, refresh, zone, theme, link.
import { ActionIcon, Menu, Tooltip, useMantineColorScheme } from '@mantine/core';
import {
  IconCheck,
  IconDeviceDesktop,
  IconKeyboard,
  IconLink,
  IconMoon,
  IconRefresh,
  IconSun,
} from '@tabler/icons-react';
import { useIsFetching, useQueryClient } from '@tanstack/react-query';
import { useLocation, useNavigate } from '@tanstack/react-router';
import { useEffect } from 'react';
import { complain, tell } from '../parts/notify';
import { useView } from '../time/clock';
import { RangePicker } from './RangePicker';
import { openShortcuts } from './Shortcuts';
import { ZonePicker } from './ZonePicker';

const RANGED_PATHS = ['/traces', '/logs', '/map'];
const REFRESH_CHOICES = [
  { value: 'off', label: 'Off', millis: 0 },
  { value: '5s', label: 'Every 5 s', millis: 5_000 },
  { value: '10s', label: 'Every 10 s', millis: 10_000 },
  { value: '30s', label: 'Every 30 s', millis: 30_000 },
] as const;

function Refresh() {
  const queries = useQueryClient();
  const fetching = useIsFetching() > 0;
  const navigate = useNavigate();
  const chosen = useView().refresh ?? 'off';
  const millis = REFRESH_CHOICES.find((choice) => choice.value === chosen)?.millis ?? 0;

  useEffect(() => {
    if (!millis) return;
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible') void queries.invalidateQueries({ type: 'active' });
    }, millis);
    return () => clearInterval(timer);
  }, [millis, queries]);

  return (
    <Menu shadow="md" width={150}>
      <ActionIcon.Group>
        <Tooltip label="Refresh (r)">
          <ActionIcon
            variant="default"
            size={28}
            aria-label="Refresh"
            data-refresh
            onClick={() => void queries.invalidateQueries({ type: 'active' })}
          >
            <IconRefresh size={15} style={fetching ? { opacity: 0.5 } : undefined} />
          </ActionIcon>
        </Tooltip>
        <Menu.Target>
          <ActionIcon
            variant="default"
            size={28}
            w={34}
            aria-label={`Refresh by itself: ${chosen}`}
            style={{ fontSize: 11, color: 'var(--muted)' }}
          >
            {chosen}
          </ActionIcon>
        </Menu.Target>
      </ActionIcon.Group>
      <Menu.Dropdown>
        <Menu.Label>Refresh by itself</Menu.Label>
        {REFRESH_CHOICES.map((choice) => (
          <Menu.Item
            key={choice.value}
            rightSection={choice.value === chosen ? <IconCheck size={13} /> : null}
            onClick={() =>
              void navigate({
                to: '.',
                search: (before) => ({
                  ...before,
                  refresh: choice.value === 'off' ? undefined : choice.value,
                }),
                replace: true,
              })
            }
          >
            {choice.label}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

function ThemeMenu() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const choices = [
    { value: 'light', label: 'Light', icon: IconSun },
    { value: 'dark', label: 'Dark', icon: IconMoon },
    { value: 'auto', label: 'System', icon: IconDeviceDesktop },
  ] as const;
  const Current = choices.find((choice) => choice.value === colorScheme)?.icon ?? IconSun;
  return (
    <Menu shadow="md" width={140}>
      <Menu.Target>
        <Tooltip label="Theme">
          <ActionIcon size={28} aria-label={`Theme: ${colorScheme}`}>
            <Current size={16} />
          </ActionIcon>
        </Tooltip>
      </Menu.Target>
      <Menu.Dropdown>
        {choices.map(({ value, label, icon: Icon }) => (
          <Menu.Item
            key={value}
            leftSection={<Icon size={14} />}
            rightSection={value === colorScheme ? <IconCheck size={13} /> : null}
            onClick={() => setColorScheme(value)}
          >
            {label}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

async function copyLink() {
  try {
    await navigator.clipboard.writeText(location.href);
    tell('Link to this view copied');
  } catch {
    complain('Not copied', 'The browser did not allow copying; the address bar has the link');
  }
}

export function ViewTools() {
  const { pathname } = useLocation();
  return (
    <>
      {RANGED_PATHS.includes(pathname) && <RangePicker />}
      <Refresh />
      <ZonePicker />
      <Tooltip label="Copy link to this view">
        <ActionIcon size={28} aria-label="Copy link to this view" onClick={() => void copyLink()}>
          <IconLink size={16} />
        </ActionIcon>
      </Tooltip>
      <ThemeMenu />
      <Tooltip label="Keyboard shortcuts (?)">
        <ActionIcon size={28} aria-label="Keyboard shortcuts" onClick={openShortcuts}>
          <IconKeyboard size={16} />
        </ActionIcon>
      </Tooltip>
    </>
  );
}
