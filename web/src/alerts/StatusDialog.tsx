// Changes an alert's status, with a comment.
import { Button, Modal, Textarea } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { alertQuery, setAlertStatus } from '../api/queries';
import type { AlertStatus } from '../api/wire';
import { complain, tell } from '../parts/notify';

export function useSetStatus() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ id, status, comment }: { id: string; status: AlertStatus; comment: string }) =>
      setAlertStatus(id, status, comment),
    onSuccess: (detail) => {
      queries.setQueryData(alertQuery(detail.id).queryKey, detail);
      void queries.invalidateQueries({ queryKey: ['alerts'] });
      tell(`Alert ${detail.status === 'open' ? 'reopened' : detail.status}`);
    },
    onError: (error) => {
      complain('The status was not changed', error.message);
    },
  });
}

export interface StatusChange {
  id: string;
  title: string;
  status: AlertStatus;
}

const VERB: Record<AlertStatus, string> = { open: 'Reopen', acknowledged: 'Acknowledge', closed: 'Close' };
const QUESTION: Record<AlertStatus, string> = {
  open: 'Why does it need another look? (optional)',
  acknowledged: 'What are you looking at? (optional)',
  closed: 'What was it? (optional)',
};

export function StatusDialog({ change, onDone }: { change: StatusChange | null; onDone: () => void }) {
  const [comment, setComment] = useState('');
  const mutation = useSetStatus();
  const finish = () => {
    setComment('');
    onDone();
  };
  return (
    <Modal
      opened={change !== null}
      onClose={finish}
      title={change ? `${VERB[change.status]} alert` : ''}
      size="md"
    >
      {change && (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            mutation.mutate(
              { id: change.id, status: change.status, comment: comment.trim() },
              { onSuccess: finish },
            );
          }}
        >
          <p style={{ margin: '0 0 10px' }}>{change.title}</p>
          <Textarea
            label={QUESTION[change.status]}
            value={comment}
            onChange={(event) => setComment(event.currentTarget.value)}
            autosize
            minRows={3}
            maxLength={4000}
            data-autofocus
          />
          <div style={{ display: 'flex', justifyContent: 'flex-end', gap: 8, marginTop: 14 }}>
            <Button variant="default" onClick={finish}>
              Cancel
            </Button>
            <Button type="submit" loading={mutation.isPending}>
              {VERB[change.status]}
            </Button>
          </div>
        </form>
      )}
    </Modal>
  );
}
