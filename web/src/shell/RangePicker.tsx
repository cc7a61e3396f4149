// Chooses the time range of the view: one of the usual ones, or two instants.
import { Button, Popover, TextInput } from '@mantine/core';
import { IconClock } from '@tabler/icons-react';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { useRange, useZone } from '../time/clock';
import { DEFAULT_RANGE, describeRange, RANGE_CHOICES, type RangeSearch, resolveRange } from '../time/range';
import { formatInstant, parseWall } from '../time/zone';
import css from './range.module.css';

function AbsoluteForm({ range, apply }: { range: RangeSearch; apply: (next: RangeSearch) => void }) {
  const zone = useZone();
  const [initial] = useState(() => resolveRange(range, Date.now()));
  const [from, setFrom] = useState(() => formatInstant(initial.start, zone, 's'));
  const [to, setTo] = useState(() => formatInstant(initial.end, zone, 's'));
  const parsedFrom = parseWall(from, zone);
  const parsedTo = parseWall(to, zone);
  const backwards = parsedFrom && parsedTo && parsedFrom >= parsedTo;
  return (
    <form
      className={css.absolute}
      onSubmit={(event) => {
        event.preventDefault();
        if (parsedFrom && parsedTo && !backwards) apply({ range: undefined, from: parsedFrom, to: parsedTo });
      }}
    >
      <TextInput
        label="From"
        value={from}
        onChange={(event) => setFrom(event.currentTarget.value)}
        error={parsedFrom ? undefined : 'Write 2026-11-02 14:03:00'}
        styles={{ input: { fontFamily: 'var(--mono)' } }}
      />
      <TextInput
        label="To"
        value={to}
        onChange={(event) => setTo(event.currentTarget.value)}
        error={parsedTo ? (backwards ? 'Must be after From' : undefined) : 'Write 2026-11-02 14:03:00'}
        styles={{ input: { fontFamily: 'var(--mono)' } }}
      />
      <div className="muted" style={{ fontSize: 12 }}>
        Zone: {zone}
      </div>
      <Button type="submit" disabled={!parsedFrom || !parsedTo || Boolean(backwards)}>
        Apply
      </Button>
    </form>
  );
}

export function RangePicker() {
  const range = useRange();
  const zone = useZone();
  const navigate = useNavigate();
  const [opened, setOpened] = useState(false);
  const absolute = range.from || range.to;
  const apply = (next: RangeSearch) => {
    setOpened(false);
    void navigate({
      to: '.',
      search: (before) => ({ ...before, range: next.range, from: next.from, to: next.to }),
    });
  };
  const label = absolute
    ? `${range.from ? formatInstant(range.from, zone, 's') : '…'} – ${range.to ? formatInstant(range.to, zone, 's') : 'now'}`
    : describeRange(range);
  return (
    <Popover opened={opened} onChange={setOpened} position="bottom-end" trapFocus>
      <Popover.Target>
        <Button
          variant="default"
          h={28}
          px={9}
          fw={500}
          leftSection={<IconClock size={15} />}
          onClick={() => setOpened(!opened)}
          aria-label={`Time range: ${label}`}
        >
          <span className="num">{label}</span>
        </Button>
      </Popover.Target>
      <Popover.Dropdown p={0}>
        <div className={css.picker}>
          <div className={css.choices} role="group" aria-label="Relative range">
            {RANGE_CHOICES.map((choice) => (
              <button
                key={choice.value}
                type="button"
                data-chosen={!absolute && (range.range ?? DEFAULT_RANGE) === choice.value}
                onClick={() =>
                  apply({
                    range: choice.value === DEFAULT_RANGE ? undefined : choice.value,
                    from: undefined,
                    to: undefined,
                  })
                }
              >
                {choice.label}
              </button>
            ))}
          </div>
          {opened && <AbsoluteForm range={range} apply={apply} />}
        </div>
      </Popover.Dropdown>
    </Popover>
  );
}
