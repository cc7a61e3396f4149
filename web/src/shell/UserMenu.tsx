// Who is logged in, and the way out.
import { Menu, UnstyledButton } from '@mantine/core';
import { IconLogout, IconUser } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { call } from '../api/client';
import { sessionQuery } from '../api/queries';

export function UserMenu() {
  const { data: session } = useQuery(sessionQuery);
  if (!session) return null;
  const open = session.auth === 'none';
  return (
    <Menu shadow="md" position="top-start" width={220}>
      <Menu.Target>
        <UnstyledButton
          style={{
            display: 'flex',
            gap: 7,
            alignItems: 'center',
            fontSize: 12,
            color: 'inherit',
            minWidth: 0,
          }}
        >
          <IconUser size={15} aria-hidden />
          <span className="ellipsis">{open ? 'open access' : session.user}</span>
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          {open ? 'Started with --no-auth' : `${session.user} · tenant ${session.tenant}`}
          {session.roles.length > 0 && <div>{session.roles.join(', ')}</div>}
        </Menu.Label>
        <Menu.Item
          leftSection={<IconLogout size={14} />}
          disabled={open}
          onClick={async () => {
            await call<void>('/session', { method: 'DELETE' });
            location.assign('/login');
          }}
        >
          Log out
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
