// Writes a new rule file, starting from a template.
import { Select, TextInput } from '@mantine/core';
import { IconArrowLeft } from '@tabler/icons-react';
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { RuleEditor } from './RuleEditor';
import css from './rules.module.css';
import { ruleTemplates } from './templates';

const route = getRouteApi('/shell/rules/new');
const FILE_NAME = /^[a-z0-9][a-z0-9._-]{0,80}\.ya?ml$/i;

export function NewRulePage() {
  const { template: chosen } = route.useSearch();
  const navigate = useNavigate();
  const [templates] = useState(ruleTemplates);
  const [file, setFile] = useState('');
  const template = templates.find((one) => one.id === chosen) ?? templates[0];
  if (!template) return null;
  const name = file && !/\.ya?ml$/i.test(file) ? `${file}.yml` : file;
  const valid = FILE_NAME.test(name);
  return (
    <RuleEditor
      key={template.id}
      file={name}
      initial={template.text}
      refusal={valid ? undefined : 'Give the file a name first'}
      title={
        <>
          <Link to="/rules" className={css.back} aria-label="To the rules">
            <IconArrowLeft size={16} aria-hidden />
          </Link>
          <h1>New rule</h1>
        </>
      }
      tools={
        <>
          <Select
            aria-label="Template"
            data={templates.map((one) => ({ value: one.id, label: one.title }))}
            value={template.id}
            allowDeselect={false}
            onChange={(value) =>
              void navigate({
                to: '.',
                search: (before) => ({ ...before, template: value ?? undefined }),
                replace: true,
              })
            }
            w={170}
          />
          <TextInput
            aria-label="File name"
            placeholder="file-name.yml"
            value={file}
            error={file !== '' && !valid}
            onChange={(event) => setFile(event.currentTarget.value.trim())}
            styles={{ input: { fontFamily: 'var(--mono)' } }}
            w={190}
          />
        </>
      }
      onSaved={(saved) => void navigate({ to: '/rules/$file', params: { file: saved.file }, replace: true })}
    />
  );
}
