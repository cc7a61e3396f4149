// A block of text to copy.
import { ActionIcon, CopyButton, Tooltip } from '@mantine/core';
import { IconCheck, IconCopy } from '@tabler/icons-react';
import css from './parts.module.css';

export function CopyIcon({
  value,
  label = 'Copy',
  size = 'sm',
}: {
  value: string;
  label?: string;
  size?: string;
}) {
  return (
    <CopyButton value={value} timeout={1200}>
      {({ copied, copy }) => (
        <Tooltip label={copied ? 'Copied' : label}>
          <ActionIcon aria-label={label} size={size} onClick={copy}>
            {copied ? <IconCheck size={14} /> : <IconCopy size={14} />}
          </ActionIcon>
        </Tooltip>
      )}
    </CopyButton>
  );
}

export function CodeBlock({ text, label }: { text: string; label: string }) {
  return (
    <div className={css.codeWrap}>
      <pre className={css.code} aria-label={label} role="region" tabIndex={0}>
        {text}
      </pre>
      <div className={css.codeCopy}>
        <CopyIcon value={text} label={`Copy ${label}`} />
      </div>
    </div>
  );
}
