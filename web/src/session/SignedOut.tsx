// Shown in place of every page while there is no session.
import { Button } from '@mantine/core';
import { Link, useLocation } from '@tanstack/react-router';
import { CodeBlock } from '../parts/CodeBlock';
import { Logo } from '../shell/Logo';
import css from './session.module.css';

export function SignedOut() {
  const location = useLocation();
  return (
    <main className={css.center}>
      <div className={css.card}>
        <Logo size={44} />
        <h1>You are not logged in</h1>
        <p>Tracehound has no passwords to remember. Run it and open the URL it prints:</p>
        <CodeBlock label="command" text="tracehound serve" />
        <p>The link works once; after that this browser stays logged in.</p>
        <Button
          fullWidth
          size="sm"
          variant="default"
          renderRoot={(props) => <Link to="/login" search={{ next: location.href }} {...props} />}
        >
          I have a login URL
        </Button>
      </div>
    </main>
  );
}
