package e2e;

import io.opentelemetry.api.GlobalOpenTelemetry;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.context.Scope;
import java.io.IOException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.logging.Logger;

/**
 * Traces and logs as a service of a user would, and leaves sending to the javaagent: spans through the OpenTelemetry
 * API, logs through java.util.logging. Goes on until standard input ends; prints [{run, spans, logs}]. The agent
 * flushes when the program ends.
 */
public final class Sender {
    private static final int SPANS_PER_TRACE = 3;
    private static final long PAUSE_MILLIS = 100;

    private Sender() {}

    /** One trace: a request, the lookup below it and the statement below that, with a log line from the lookup. */
    private static void send(Tracer tracer, Logger logger, int number) {
        Span root = tracer.spanBuilder("GET /e2e/{number}").setSpanKind(SpanKind.SERVER).startSpan();
        root.setAttribute("http.request.method", "GET").setAttribute("e2e.number", number);
        try (Scope inRoot = root.makeCurrent()) {
            Span lookup = tracer.spanBuilder("lookup").startSpan();
            try (Scope inLookup = lookup.makeCurrent()) {
                logger.warning("lookup " + number + " took a detour");
                Span leaf = tracer.spanBuilder("SELECT things").setSpanKind(SpanKind.CLIENT).startSpan();
                leaf.setAttribute("db.system.name", "postgresql").end();
            } finally {
                lookup.end();
            }
        } finally {
            root.end();
        }
    }

    private static CountDownLatch endOfInput() {
        CountDownLatch ended = new CountDownLatch(1);
        Thread reader = new Thread(() -> {
            try {
                System.in.transferTo(java.io.OutputStream.nullOutputStream());
            } catch (IOException gone) {
                System.err.println(gone);
            }
            ended.countDown();
        });
        reader.setDaemon(true);
        reader.start();
        return ended;
    }

    public static void main(String[] arguments) throws InterruptedException {
        Tracer tracer = GlobalOpenTelemetry.getTracer("e2e");
        Logger logger = Logger.getLogger("e2e");
        // the agent sees the record before handlers do; the console is not needed
        logger.setUseParentHandlers(false);
        CountDownLatch ended = endOfInput();
        int traces = 0;
        while (!ended.await(PAUSE_MILLIS, TimeUnit.MILLISECONDS)) {
            send(tracer, logger, traces);
            traces++;
        }
        System.out.printf(
                "[{\"run\": \"%s\", \"spans\": %d, \"logs\": %d}]%n", arguments[0], traces * SPANS_PER_TRACE, traces);
    }
}
