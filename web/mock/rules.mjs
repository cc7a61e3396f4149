// A rough judge of rule files: enough to show markers, nothing like the real one.

const MODIFIERS = [
  'contains',
  'startswith',
  'endswith',
  're',
  'cidr',
  'exists',
  'gt',
  'gte',
  'lt',
  'lte',
  'all',
];

export function checkText(file, text) {
  const diagnostics = [];
  const rules = [];
  const wrong = (line, column, code, message, hint) =>
    diagnostics.push({ file, line, column, code, message, hint });
  let offset = 0;
  for (const document of text.split(/^---$/m)) {
    const lines = document.split('\n');
    const field = (name) => new RegExp(`^${name}:\\s*(.+)$`, 'm').exec(document)?.[1];
    lines.forEach((line, index) => {
      const modifier = /^\s+[\w.]+\|([\w|]+):/.exec(line)?.[1];
      for (const one of modifier?.split('|') ?? []) {
        if (!MODIFIERS.includes(one))
          wrong(
            offset + index + 1,
            line.indexOf(one) + 1,
            'unknown-modifier',
            `unknown modifier "${one}"`,
            `known are ${MODIFIERS.join(', ')}`,
          );
      }
      if (/:\s*\[[^\]]*$/.test(line))
        wrong(offset + index + 1, line.indexOf('[') + 1, 'yaml', 'the list is not closed', 'add ]');
      if (line.includes('\t'))
        wrong(offset + index + 1, line.indexOf('\t') + 1, 'yaml', 'tabs cannot indent YAML', 'use spaces');
    });
    if (document.trim()) {
      if (!field('title')) wrong(offset + 1, 1, 'missing-field', 'the rule has no title', 'add title: …');
      if (!/^(detection|correlation):/m.test(document))
        wrong(offset + 1, 1, 'missing-field', 'the rule has neither detection nor correlation', '');
      rules.push({
        id: field('id') ?? field('title') ?? '?',
        title: field('title') ?? '',
        level: field('level') ?? 'medium',
        kind: /^\s+type:\s*(\w+)/m.exec(document)?.[1] ?? 'event',
        status: 'active',
        file,
        version: 1,
        tags: (/^tags:\s*\[(.*)\]/m.exec(document)?.[1] ?? '')
          .split(',')
          .map((tag) => tag.trim())
          .filter(Boolean),
        description: field('description') ?? '',
        author: field('author') ?? '',
        matches: (text.length * 7) % 900,
        diagnostics: [],
      });
    }
    offset += lines.length - 1;
  }
  return { valid: diagnostics.length === 0, rules: diagnostics.length ? [] : rules, diagnostics };
}

export function ruleList(world) {
  const items = Object.entries(world.rules).flatMap(([file, text]) => checkText(file, text).rules);
  const { diagnostics } = checkText('broken-on-purpose.yml', world.broken);
  items.push({
    id: 'broken-on-purpose.yml',
    title: 'Broken on purpose',
    level: 'low',
    kind: 'event',
    status: 'invalid',
    file: 'broken-on-purpose.yml',
    version: 0,
    tags: [],
    description: '',
    author: '',
    matches: 0,
    diagnostics,
  });
  world.rules['broken-on-purpose.yml'] ??= world.broken;
  return items.filter(
    (item, index) =>
      items.findIndex((other) => other.id === item.id && other.file === item.file) === index &&
      !(item.file === 'broken-on-purpose.yml' && item.status === 'active'),
  );
}
