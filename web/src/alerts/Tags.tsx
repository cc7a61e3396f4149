// Rule tags with the names behind their numbers.

import css from './alerts.module.css';
import { tagName } from './attack';

export function Tags({ tags }: { tags: readonly string[] }) {
  return (
    <ul className={css.tags} aria-label="Tags">
      {tags.map((tag) => {
        const { short, name, href } = tagName(tag);
        const text = (
          <>
            <b>{short}</b>
            {name && <span>{name}</span>}
          </>
        );
        return (
          <li key={tag} title={tag}>
            {href ? (
              <a href={href} target="_blank" rel="noopener noreferrer">
                {text}
              </a>
            ) : (
              text
            )}
          </li>
        );
      })}
    </ul>
  );
}
