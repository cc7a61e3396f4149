// The list of attribute filters with its input: key=value, key!=value, key, !key.
import { TextInput } from '@mantine/core';
import { IconX } from '@tabler/icons-react';
import { useState } from 'react';
import { filterText, parseFilter, withFilter } from '../traces/filter';
import css from './parts.module.css';

interface FilterChipsProps {
  filters: readonly string[] | undefined;
  onChange: (filters: string[] | undefined) => void;
}

export function FilterChips({ filters, onChange }: FilterChipsProps) {
  const [draft, setDraft] = useState('');
  const [wrong, setWrong] = useState(false);

  const add = () => {
    if (!draft.trim()) return;
    const filter = parseFilter(draft);
    if (!filter) {
      setWrong(true);
      return;
    }
    onChange(withFilter(filters, filterText(filter)));
    setDraft('');
  };

  return (
    <div style={{ display: 'flex', flexWrap: 'wrap', gap: 6, alignItems: 'center', flex: 1, minWidth: 260 }}>
      {(filters ?? []).map((filter) => (
        <span key={filter} className={css.chip}>
          <span className="ellipsis" title={filter}>
            {filter}
          </span>
          <button
            type="button"
            aria-label={`Remove filter ${filter}`}
            onClick={() => onChange(withFilter(filters, filter, false))}
          >
            <IconX size={12} />
          </button>
        </span>
      ))}
      <TextInput
        aria-label="Add attribute filter"
        placeholder="Add filter: key=value, key!=value, key, !key"
        value={draft}
        error={wrong}
        title={wrong ? 'Write key=value, key!=value, key (exists) or !key (absent)' : undefined}
        onChange={(event) => {
          setDraft(event.currentTarget.value);
          setWrong(false);
        }}
        onKeyDown={(event) => {
          if (event.key === 'Enter') {
            event.preventDefault();
            add();
          } else if (event.key === 'Backspace' && draft === '' && filters?.length) {
            onChange(withFilter(filters, filters[filters.length - 1] as string, false));
          }
        }}
        onBlur={add}
        style={{ flex: 1, minWidth: 240 }}
        styles={{ input: { fontFamily: 'var(--mono)' } }}
        data-filter-input
      />
    </div>
  );
}
