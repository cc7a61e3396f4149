// The trace search form; every field is a search parameter of the URL.
import { Button, NumberInput, Select } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { operationsQuery, servicesQuery } from '../api/queries';
import { DraftInput } from '../parts/DraftInput';
import { FilterChips } from '../parts/FilterChips';
import { useRange } from '../time/clock';
import { parseDuration } from '../time/nanos';
import { SPAN_KINDS, SPAN_STATUSES, type TracesSearch } from '../url/view';
import css from './traces.module.css';

const route = getRouteApi('/shell/traces');

const checkDuration = (text: string) =>
  parseDuration(text) === null ? 'Write 10ms, 1.5s or nanoseconds' : undefined;

/** Names for a dropdown; the chosen one stays in it even when the range no longer has it. */
function options(names: string[], chosen: string | undefined): string[] {
  const unique = [...new Set(names)].sort();
  return chosen && !unique.includes(chosen) ? [chosen, ...unique] : unique;
}

export function SearchForm() {
  const search = route.useSearch();
  const range = useRange();
  const navigate = useNavigate();
  const services = useQuery(servicesQuery(range));
  const operations = useQuery(operationsQuery(search.service ?? '', range));
  const set = (change: Partial<TracesSearch>) =>
    void navigate({ to: '.', search: (before) => ({ ...before, ...change }) });
  const narrowed = Boolean(
    search.service ||
      search.operation ||
      search.filter ||
      search.min ||
      search.max ||
      search.status ||
      search.kind,
  );

  return (
    <search className={css.form} aria-label="Search traces">
      <div className={css.fields}>
        <Select
          label="Service"
          placeholder="Any service"
          searchable
          clearable
          data={options(services.data?.items.map((one) => one.name) ?? [], search.service)}
          value={search.service ?? null}
          onChange={(value) => set({ service: value ?? undefined, operation: undefined })}
          w={190}
        />
        <Select
          label="Operation"
          placeholder={search.service ? 'Any operation' : 'Choose a service first'}
          searchable
          clearable
          disabled={!search.service && !search.operation}
          data={options(operations.data?.items.map((one) => one.name) ?? [], search.operation)}
          value={search.operation ?? null}
          onChange={(value) => set({ operation: value ?? undefined })}
          w={230}
          nothingFoundMessage="None in this range"
        />
        <Select
          label="Status"
          placeholder="Any"
          clearable
          data={[...SPAN_STATUSES]}
          value={search.status ?? null}
          onChange={(value) => set({ status: (value as TracesSearch['status']) ?? undefined })}
          w={96}
        />
        <Select
          label="Kind"
          placeholder="Any"
          clearable
          data={[...SPAN_KINDS]}
          value={search.kind ?? null}
          onChange={(value) => set({ kind: (value as TracesSearch['kind']) ?? undefined })}
          w={112}
        />
        <DraftInput
          label="Min duration"
          placeholder="10ms"
          value={search.min}
          onCommit={(min) => set({ min })}
          check={checkDuration}
          w={92}
        />
        <DraftInput
          label="Max duration"
          placeholder="1.5s"
          value={search.max}
          onCommit={(max) => set({ max })}
          check={checkDuration}
          w={92}
        />
        <NumberInput
          label="Page size"
          value={search.limit ?? 100}
          min={1}
          max={1000}
          step={50}
          clampBehavior="strict"
          allowDecimal={false}
          onChange={(value) => set({ limit: typeof value === 'number' && value !== 100 ? value : undefined })}
          w={80}
        />
      </div>
      <div className={css.filters}>
        <FilterChips filters={search.filter} onChange={(filter) => set({ filter })} />
        {narrowed && (
          <Button
            variant="subtle"
            color="gray"
            onClick={() =>
              set({
                service: undefined,
                operation: undefined,
                filter: undefined,
                min: undefined,
                max: undefined,
                status: undefined,
                kind: undefined,
              })
            }
          >
            Clear
          </Button>
        )}
      </div>
    </search>
  );
}
