// Where the one-time URL lands: trades its token for a session, then moves on.
import { Button, Loader, TextInput } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { useCallback, useEffect, useRef, useState } from 'react';
import { call, Problem } from '../api/client';
import { Logo } from '../shell/Logo';
import css from './session.module.css';

const route = getRouteApi('/login');

export function LoginPage() {
  const { t: token, next } = route.useSearch();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const [failure, setFailure] = useState<string>();
  const [typed, setTyped] = useState('');
  const tried = useRef<string>(undefined);

  const logIn = useCallback(
    async (presented: string) => {
      setFailure(undefined);
      try {
        await call<unknown>('/session', { method: 'POST', body: { token: presented } });
        queries.clear();
        // The token must not stay in the history.
        await navigate({ href: next ?? '/traces', replace: true });
      } catch (error) {
        const expired = error instanceof Problem && (error.status === 401 || error.status === 403);
        setFailure(
          expired
            ? 'This login link was already used or has expired. Restart tracehound serve for a new one.'
            : error instanceof Error
              ? error.message
              : String(error),
        );
      }
    },
    [navigate, queries, next],
  );

  useEffect(() => {
    if (!token || tried.current === token) return;
    tried.current = token;
    void logIn(token);
  }, [token, logIn]);

  return (
    <main className={css.center}>
      <div className={css.card}>
        <Logo size={44} />
        <h1>Log in to Tracehound</h1>
        {token && !failure ? (
          <p role="status" className={css.busy}>
            <Loader size={14} /> Checking the link…
          </p>
        ) : (
          <form
            onSubmit={(event) => {
              event.preventDefault();
              const text = typed.trim();
              // People paste the whole URL as often as the token.
              void logIn(/[?&]t=([^&\s]+)/.exec(text)?.[1] ?? text);
            }}
          >
            <p>
              Run <code>tracehound serve</code> and open the URL it prints, or paste that URL here.
            </p>
            <TextInput
              size="sm"
              label="Login URL or token"
              value={typed}
              onChange={(event) => setTyped(event.currentTarget.value)}
              autoComplete="off"
              spellCheck={false}
              data-autofocus
            />
            <Button type="submit" size="sm" fullWidth mt={10} disabled={!typed.trim()}>
              Log in
            </Button>
          </form>
        )}
        {failure && (
          <p role="alert" className={css.failure}>
            {failure}
          </p>
        )}
      </div>
    </main>
  );
}
