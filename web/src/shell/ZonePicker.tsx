// Chooses the time zone every instant is written in.
import { Button, Menu, Select } from '@mantine/core';
import { IconCheck, IconWorld } from '@tabler/icons-react';
import { useMemo, useState } from 'react';
import { useSetZone, useZone } from '../time/clock';
import { allZones } from '../time/zone';

export function ZonePicker() {
  const zone = useZone();
  const setZone = useSetZone();
  const [opened, setOpened] = useState(false);
  const zones = useMemo(() => (opened ? allZones() : []), [opened]);
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const pick = (next: string) => {
    setZone(next);
    setOpened(false);
  };
  return (
    <Menu
      shadow="md"
      width={240}
      opened={opened}
      onChange={setOpened}
      closeOnItemClick={false}
      trapFocus={false}
    >
      <Menu.Target>
        <Button
          variant="subtle"
          color="gray"
          px={7}
          h={28}
          leftSection={<IconWorld size={15} />}
          aria-label={`Time zone: ${zone}`}
          fw={500}
        >
          {zone === 'local' ? 'Local' : zone.split('/').pop()?.replaceAll('_', ' ')}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>Show times in</Menu.Label>
        {[
          { value: 'local', label: `Local (${here})` },
          { value: 'UTC', label: 'UTC' },
        ].map(({ value, label }) => (
          <Menu.Item
            key={value}
            rightSection={zone === value ? <IconCheck size={13} /> : null}
            onClick={() => pick(value)}
          >
            {label}
          </Menu.Item>
        ))}
        <Select
          p={6}
          aria-label="Another time zone"
          placeholder="Another zone…"
          searchable
          data={zones}
          limit={60}
          value={zone === 'local' || zone === 'UTC' ? null : zone}
          onChange={(value) => value && pick(value)}
          comboboxProps={{ withinPortal: false }}
        />
      </Menu.Dropdown>
    </Menu>
  );
}
