// Empty places that say what to do next.
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { infoQuery } from '../api/queries';
import { CodeBlock } from './CodeBlock';
import css from './parts.module.css';

interface EmptyProps {
  icon?: ReactNode;
  title: string;
  children?: ReactNode;
}

export function Empty({ icon, title, children }: EmptyProps) {
  return (
    <div className={css.empty}>
      {icon}
      <h2>{title}</h2>
      {children}
    </div>
  );
}

function asUrl(address: string): string {
  return /^https?:\/\//.test(address) ? address : `http://${address}`;
}

/** Shown until the first span arrives: the environment variables every OpenTelemetry SDK reads. */
export function WaitingForFirstSpan() {
  const { data: info } = useQuery(infoQuery);
  if (!info) return null;
  const grpc = `export OTEL_EXPORTER_OTLP_ENDPOINT=${asUrl(info.otlp_grpc)}
export OTEL_EXPORTER_OTLP_PROTOCOL=grpc
export OTEL_EXPORTER_OTLP_HEADERS="x-tracehound-key=<your ingest key>"
export OTEL_SERVICE_NAME=my-service`;
  const http = `export OTEL_EXPORTER_OTLP_ENDPOINT=${asUrl(info.otlp_http)}
export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
export OTEL_EXPORTER_OTLP_HEADERS="x-tracehound-key=<your ingest key>"
export OTEL_SERVICE_NAME=my-service`;
  return (
    <div className={css.empty}>
      <div style={{ display: 'flex', alignItems: 'center', gap: 9 }} role="status">
        <span className={css.pulse} aria-hidden />
        <h2 style={{ margin: 0 }}>Waiting for the first span</h2>
      </div>
      <p>
        Give your service these variables and start it. Every OpenTelemetry SDK reads them; this page moves on
        by itself. The ingest key was printed when Tracehound first started (with --no-auth leave the header
        out).
      </p>
      <div style={{ display: 'grid', gap: 10, width: 'min(640px, 100%)', marginTop: 12 }}>
        <CodeBlock label="OTLP over gRPC" text={grpc} />
        <CodeBlock label="OTLP over HTTP" text={http} />
      </div>
    </div>
  );
}
