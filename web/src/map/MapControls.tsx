// Zoom and fit, as labelled buttons.
import { ActionIcon, Tooltip } from '@mantine/core';
import { IconMaximize, IconMinus, IconPlus } from '@tabler/icons-react';
import { Panel, useReactFlow } from '@xyflow/react';

export function MapControls() {
  const flow = useReactFlow();
  return (
    <Panel position="bottom-left">
      <ActionIcon.Group orientation="vertical">
        <Tooltip label="Zoom in" position="right">
          <ActionIcon variant="default" aria-label="Zoom in" onClick={() => void flow.zoomIn()}>
            <IconPlus size={15} />
          </ActionIcon>
        </Tooltip>
        <Tooltip label="Zoom out" position="right">
          <ActionIcon variant="default" aria-label="Zoom out" onClick={() => void flow.zoomOut()}>
            <IconMinus size={15} />
          </ActionIcon>
        </Tooltip>
        <Tooltip label="Show all" position="right">
          <ActionIcon
            variant="default"
            aria-label="Show all"
            onClick={() => void flow.fitView({ padding: 0.08, maxZoom: 1.15 })}
          >
            <IconMaximize size={15} />
          </ActionIcon>
        </Tooltip>
      </ActionIcon.Group>
    </Panel>
  );
}
