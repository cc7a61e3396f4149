// What is wrong with a rule file, line by line.
import type { Diagnostic } from '../api/wire';
import css from './rules.module.css';

interface DiagnosticListProps {
  diagnostics: readonly Diagnostic[];
  /** Called with the place to go to; without it the places are plain text. */
  onGo?: (diagnostic: Diagnostic) => void;
}

export function DiagnosticList({ diagnostics, onGo }: DiagnosticListProps) {
  return (
    <ul className={css.diagnostics}>
      {diagnostics.map((diagnostic) => {
        const place = `${diagnostic.line}:${diagnostic.column}`;
        return (
          <li key={`${place} ${diagnostic.code} ${diagnostic.message}`}>
            {onGo ? (
              <button
                type="button"
                onClick={() => onGo(diagnostic)}
                title={`Go to line ${diagnostic.line}, column ${diagnostic.column}`}
              >
                {place}
              </button>
            ) : (
              <span className="mono muted">{place}</span>
            )}
            <span>
              {diagnostic.message}
              {diagnostic.hint && <span className="muted"> · {diagnostic.hint}</span>}
            </span>
            <code>{diagnostic.code}</code>
          </li>
        );
      })}
    </ul>
  );
}
