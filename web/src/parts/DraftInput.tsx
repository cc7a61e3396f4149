// A text input that reports its value on Enter or when it is left, not on every key.
import { TextInput, type TextInputProps } from '@mantine/core';
import { type Ref, useEffect, useState } from 'react';

interface DraftInputProps extends Omit<TextInputProps, 'value' | 'onChange'> {
  value: string | undefined;
  onCommit: (value: string | undefined) => void;
  /** A reason why the text cannot be used, or nothing. */
  check?: (value: string) => string | undefined;
  inputRef?: Ref<HTMLInputElement>;
}

export function DraftInput({ value, onCommit, check, inputRef, ...rest }: DraftInputProps) {
  const [draft, setDraft] = useState(value ?? '');
  useEffect(() => setDraft(value ?? ''), [value]);
  const wrong = draft ? check?.(draft) : undefined;
  const commit = () => {
    const next = draft.trim() || undefined;
    if (!wrong && next !== value) onCommit(next);
  };
  return (
    <TextInput
      {...rest}
      ref={inputRef}
      value={draft}
      error={Boolean(wrong)}
      title={wrong}
      onChange={(event) => setDraft(event.currentTarget.value)}
      onBlur={commit}
      onKeyDown={(event) => {
        if (event.key === 'Enter') commit();
        rest.onKeyDown?.(event);
      }}
    />
  );
}
