// Keys and values of a span, log or resource, each with a way to filter by it.
import { ActionIcon, Tooltip } from '@mantine/core';
import { IconFilterMinus, IconFilterPlus } from '@tabler/icons-react';
import { Fragment } from 'react';
import type { Attributes } from '../api/wire';
import { CopyIcon } from './CodeBlock';
import { plain } from './Marks';
import css from './parts.module.css';
import { isWebLink, SafeLink } from './SafeLink';

/** A dotted name that breaks after its dots, not in the middle of a word. */
function DottedName({ name }: { name: string }) {
  const [first, ...rest] = name.split('.');
  return (
    <>
      {first}
      {rest.map((part, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the parts of one name never move
        <Fragment key={at}>
          .<wbr />
          {part}
        </Fragment>
      ))}
    </>
  );
}

interface AttributeTableProps {
  attributes: Attributes;
  label: string;
  /** Called with the key and value to search for; without it no filter buttons are shown. */
  onFilter?: (key: string, value: unknown, op: 'eq' | 'ne') => void;
}

export function AttributeTable({ attributes, label, onFilter }: AttributeTableProps) {
  const rows = Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1));
  if (!rows.length) return <div className="muted">none</div>;
  return (
    <table className={css.attributes} aria-label={label}>
      <tbody>
        {rows.map(([key, value]) => (
          <tr key={key}>
            <th scope="row">
              <DottedName name={key} />
            </th>
            <td>
              {typeof value === 'string' && isWebLink(value) ? <SafeLink href={value} /> : plain(value)}
            </td>
            <td className={css.actions}>
              {onFilter && (
                <>
                  <Tooltip label="Search for this value">
                    <ActionIcon
                      size="xs"
                      aria-label={`Search for ${key} = ${plain(value)}`}
                      onClick={() => onFilter(key, value, 'eq')}
                    >
                      <IconFilterPlus size={13} />
                    </ActionIcon>
                  </Tooltip>
                  <Tooltip label="Exclude this value">
                    <ActionIcon
                      size="xs"
                      aria-label={`Exclude ${key} = ${plain(value)}`}
                      onClick={() => onFilter(key, value, 'ne')}
                    >
                      <IconFilterMinus size={13} />
                    </ActionIcon>
                  </Tooltip>
                </>
              )}
              <CopyIcon value={plain(value)} label={`Copy ${key}`} size="xs" />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
