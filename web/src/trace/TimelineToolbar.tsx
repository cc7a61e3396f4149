// Span search, folding and zoom above the waterfall.
import { ActionIcon, Button, TextInput, Tooltip } from '@mantine/core';
import {
  IconChevronDown,
  IconChevronUp,
  IconFold,
  IconFoldDown,
  IconFoldUp,
  IconSearch,
  IconX,
  IconZoomReset,
} from '@tabler/icons-react';
import { formatDuration } from '../time/nanos';
import css from './trace.module.css';
import type { TimelineState } from './useTimeline';

function FindField({ state }: { state: TimelineState }) {
  const { findText, setFindText, matches, matchAt, isFinding, goToMatch } = state;
  const count = matches.length.toLocaleString('en');
  return (
    <>
      <TextInput
        aria-label="Find spans"
        placeholder="Find spans: service, name, key=value"
        leftSection={<IconSearch size={13} />}
        value={findText}
        data-search-field
        onChange={(event) => setFindText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Enter') goToMatch(event.shiftKey ? -1 : 1);
          if (event.key === 'Escape') {
            setFindText('');
            event.currentTarget.blur();
          }
        }}
        rightSection={
          findText ? (
            <ActionIcon size="xs" aria-label="Clear the search" onClick={() => setFindText('')}>
              <IconX size={12} />
            </ActionIcon>
          ) : null
        }
        w={270}
      />
      {isFinding && (
        <>
          <span className="num muted" role="status">
            {matches.length === 0 ? 'no match' : matchAt >= 0 ? `${matchAt + 1} of ${count}` : count}
          </span>
          <ActionIcon
            size="sm"
            aria-label="Previous match"
            disabled={!matches.length}
            onClick={() => goToMatch(-1)}
          >
            <IconChevronUp size={15} />
          </ActionIcon>
          <ActionIcon
            size="sm"
            aria-label="Next match"
            disabled={!matches.length}
            onClick={() => goToMatch(1)}
          >
            <IconChevronDown size={15} />
          </ActionIcon>
        </>
      )}
    </>
  );
}

export function TimelineToolbar({ state }: { state: TimelineState }) {
  const { zoom, isZoomed, zoomTo, foldLevel, foldAll, unfoldAll } = state;
  return (
    <div className={css.toolbar}>
      <FindField state={state} />
      <span style={{ flex: 1 }} />
      {isZoomed && (
        <Button
          variant="light"
          leftSection={<IconZoomReset size={14} />}
          onClick={() => zoomTo(null)}
          title="Show the whole trace (Esc)"
        >
          {formatDuration(zoom.toNanos - zoom.fromNanos)} shown
        </Button>
      )}
      <Tooltip label="Fold one level ( [ )">
        <ActionIcon aria-label="Fold one level" onClick={() => foldLevel(-1)}>
          <IconFoldUp size={16} />
        </ActionIcon>
      </Tooltip>
      <Tooltip label="Unfold one level ( ] )">
        <ActionIcon aria-label="Unfold one level" onClick={() => foldLevel(1)}>
          <IconFoldDown size={16} />
        </ActionIcon>
      </Tooltip>
      <Tooltip label="Fold everything">
        <ActionIcon aria-label="Fold everything" onClick={foldAll}>
          <IconFold size={16} />
        </ActionIcon>
      </Tooltip>
      <Button variant="subtle" color="gray" px={8} onClick={unfoldAll}>
        Unfold all
      </Button>
    </div>
  );
}
