// What a new rule may start from.

export interface RuleTemplate {
  id: string;
  title: string;
  about: string;
  text: string;
}

function newId(): string {
  // randomUUID needs a secure context, which plain http on another machine is not.
  if (typeof crypto.randomUUID === 'function') return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

export function ruleTemplates(): RuleTemplate[] {
  return [
    {
      id: 'span',
      title: 'One span',
      about: 'Fires on every span that matches.',
      text: `title: Request to the cloud metadata service
id: ${newId()}
status: experimental
description: >
  A service called the link-local metadata address, from which credentials can be read.
author: your name
level: high
tags: [attack.t1552.005, owasp.api7]
logsource:
  product: otel
  category: span
detection:
  target:
    server.address: 169.254.169.254
  condition: target
falsepositives:
  - A node agent that reads its own instance metadata
`,
    },
    {
      id: 'log',
      title: 'One log record',
      about: 'Fires on every log record that matches.',
      text: `title: Permission denied in an admin service
id: ${newId()}
status: experimental
description: An admin service refused an action.
author: your name
level: medium
tags: [attack.t1078]
logsource:
  product: otel
  category: log
detection:
  service:
    service.name|startswith: admin
  words:
    body|contains: permission denied
  condition: service and words
`,
    },
    {
      id: 'event_count',
      title: 'Many in a time',
      about: 'Counts matching events per group in a window.',
      text: `title: Login failed
id: ${newId()}
name: login_failed
status: experimental
level: informational
logsource:
  product: otel
  category: span
detection:
  failed:
    http.route|endswith: /login
    http.response.status_code: [401, 403]
  condition: failed
---
title: Many failed logins from one address
id: ${newId()}
status: experimental
description: One address failed to log in ten times in five minutes.
author: your name
level: high
tags: [attack.t1110, owasp.api2]
correlation:
  type: event_count
  rules: [login_failed]
  group-by: [client.address]
  timespan: 5m
  condition:
    gte: 10
`,
    },
    {
      id: 'value_count',
      title: 'Many different values',
      about: 'Counts distinct values of a field per group in a window.',
      text: `title: Authenticated request
id: ${newId()}
name: authed_request
status: experimental
level: informational
logsource:
  product: otel
  category: span
detection:
  session:
    session.id|exists: true
  condition: session
---
title: One session used from two addresses
id: ${newId()}
status: experimental
description: The same session id came from more than one client address.
author: your name
level: high
tags: [attack.t1539, owasp.api2]
correlation:
  type: value_count
  rules: [authed_request]
  group-by: [session.id]
  timespan: 15m
  condition:
    field: client.address
    gte: 2
`,
    },
  ];
}
