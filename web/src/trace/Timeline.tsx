// The timeline of a trace: toolbar, minimap, waterfall and the chosen span.
import { Minimap } from './Minimap';
import { SpanDetail } from './SpanDetail';
import { TimelineToolbar } from './TimelineToolbar';
import css from './trace.module.css';
import { type TimelineProps, useTimeline } from './useTimeline';
import { useTimelineKeys } from './useTimelineKeys';
import { Waterfall } from './Waterfall';

export function Timeline(props: TimelineProps) {
  const { trace, flat } = props;
  const state = useTimeline(props);
  useTimelineKeys(state, flat);
  const { chosen } = state;
  const showSpan = (id: string) => {
    const row = flat.rowOfSpanId.get(id);
    if (row === undefined) return;
    state.reveal(row);
    state.open(row);
  };
  return (
    <div className={css.timeline}>
      <div className={css.left}>
        <TimelineToolbar state={state} />
        <Minimap flat={flat} zoom={state.zoom} zoomed={state.isZoomed} onZoom={state.zoomTo} />
        <Waterfall
          trace={trace}
          flat={flat}
          rows={state.rows}
          folded={state.folded}
          zoom={state.zoom}
          cursor={state.cursor}
          matches={state.matchSet}
          scrollTo={state.scrollTo}
          onOpen={state.open}
          onToggle={state.toggle}
        />
      </div>
      {chosen && (
        <SpanDetail
          key={chosen.span_id}
          trace={trace}
          span={chosen}
          onClose={state.close}
          onSpan={showSpan}
        />
      )}
    </div>
  );
}
