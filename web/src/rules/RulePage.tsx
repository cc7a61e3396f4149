// Reads and edits one stored rule file.
import { Loader } from '@mantine/core';
import { IconArrowLeft } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { Problem } from '../api/client';
import { ruleFileQuery } from '../api/queries';
import { Empty } from '../parts/Empty';
import { ProblemNotice } from '../parts/Failure';
import { RuleEditor } from './RuleEditor';
import css from './rules.module.css';

const route = getRouteApi('/shell/rules/$file');

export function RulePage() {
  const { file } = route.useParams();
  const { data, error, refetch } = useQuery(ruleFileQuery(file));
  if (error instanceof Problem && error.status === 404) {
    return (
      <Empty title="No such rule">
        <p className="mono">{file}</p>
        <Link to="/rules">To the rules</Link>
      </Empty>
    );
  }
  if (error) return <ProblemNotice error={error} retry={() => void refetch()} />;
  if (!data) {
    return (
      <div style={{ display: 'grid', placeItems: 'center', height: '60%' }}>
        <Loader size="sm" role="status" aria-label="Loading the rule" />
      </div>
    );
  }
  return (
    <RuleEditor
      key={data.file}
      file={data.file}
      initial={data.text}
      etag={data.etag}
      title={
        <>
          <Link to="/rules" className={css.back} aria-label="To the rules">
            <IconArrowLeft size={16} aria-hidden />
          </Link>
          <h1 className="mono">{data.file}</h1>
        </>
      }
      // The stored text and tag are in the cache by now: the next save carries the new tag.
      onSaved={() => {}}
    />
  );
}
