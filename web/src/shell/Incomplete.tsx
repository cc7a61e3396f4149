// Says that answers are without events whose files are damaged.
import { Alert } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { useEffect, useState } from 'react';
import { onIncomplete } from '../api/client';

/** Names listed; an operator finds the others in the server's log. */
const NAMED = 3;

export function Incomplete() {
  const [files, setFiles] = useState<readonly string[]>([]);
  useEffect(
    () => onIncomplete((found) => setFiles((before) => (found.join() === before.join() ? before : found))),
    [],
  );
  if (files.length === 0) return null;
  const more = files.length > NAMED ? ` and ${files.length - NAMED} more` : '';
  return (
    <Alert
      color="orange"
      icon={<IconAlertTriangle size={18} aria-hidden />}
      title="Part of the stored events cannot be read"
      role="status"
      mb="sm"
      withCloseButton
      closeButtonLabel="Dismiss"
      onClose={() => setFiles([])}
    >
      {files.length === 1 ? 'A file is' : `${files.length} files are`} damaged, and what is shown here is
      without the events in {files.length === 1 ? 'it' : 'them'}: {files.slice(0, NAMED).join(', ')}
      {more}.
    </Alert>
  );
}
