// Names of the MITRE ATT&CK and OWASP API tags that rules for services use.

const TACTICS: Record<string, string> = {
  reconnaissance: 'Reconnaissance',
  'resource-development': 'Resource Development',
  'initial-access': 'Initial Access',
  execution: 'Execution',
  persistence: 'Persistence',
  'privilege-escalation': 'Privilege Escalation',
  stealth: 'Stealth',
  'defense-impairment': 'Defense Impairment',
  'defense-evasion': 'Defense Evasion',
  'credential-access': 'Credential Access',
  discovery: 'Discovery',
  'lateral-movement': 'Lateral Movement',
  collection: 'Collection',
  'command-and-control': 'Command and Control',
  exfiltration: 'Exfiltration',
  impact: 'Impact',
};

const TECHNIQUES: Record<string, string> = {
  T1005: 'Data from Local System',
  T1021: 'Remote Services',
  T1041: 'Exfiltration Over C2 Channel',
  T1046: 'Network Service Discovery',
  T1048: 'Exfiltration Over Alternative Protocol',
  T1059: 'Command and Scripting Interpreter',
  T1068: 'Exploitation for Privilege Escalation',
  T1071: 'Application Layer Protocol',
  T1078: 'Valid Accounts',
  'T1078.004': 'Cloud Accounts',
  T1087: 'Account Discovery',
  T1090: 'Proxy',
  T1098: 'Account Manipulation',
  T1110: 'Brute Force',
  'T1110.001': 'Password Guessing',
  'T1110.002': 'Password Cracking',
  'T1110.003': 'Password Spraying',
  'T1110.004': 'Credential Stuffing',
  T1119: 'Automated Collection',
  T1136: 'Create Account',
  T1190: 'Exploit Public-Facing Application',
  'T1195.002': 'Compromise Software Supply Chain',
  T1199: 'Trusted Relationship',
  T1203: 'Exploitation for Client Execution',
  T1210: 'Exploitation of Remote Services',
  T1213: 'Data from Information Repositories',
  T1485: 'Data Destruction',
  T1486: 'Data Encrypted for Impact',
  T1496: 'Resource Hijacking',
  T1498: 'Network Denial of Service',
  T1499: 'Endpoint Denial of Service',
  T1505: 'Server Software Component',
  T1528: 'Steal Application Access Token',
  T1530: 'Data from Cloud Storage',
  T1539: 'Steal Web Session Cookie',
  T1550: 'Use Alternate Authentication Material',
  'T1550.001': 'Application Access Token',
  'T1550.004': 'Web Session Cookie',
  T1552: 'Unsecured Credentials',
  'T1552.005': 'Cloud Instance Metadata API',
  T1562: 'Impair Defenses',
  T1563: 'Remote Service Session Hijacking',
  T1565: 'Data Manipulation',
  T1567: 'Exfiltration Over Web Service',
  T1570: 'Lateral Tool Transfer',
  T1580: 'Cloud Infrastructure Discovery',
  T1595: 'Active Scanning',
  T1606: 'Forge Web Credentials',
  T1613: 'Container and Resource Discovery',
  T1621: 'Multi-Factor Authentication Request Generation',
};

const OWASP_API: Record<string, string> = {
  api1: 'Broken Object Level Authorization',
  api2: 'Broken Authentication',
  api3: 'Broken Object Property Level Authorization',
  api4: 'Unrestricted Resource Consumption',
  api5: 'Broken Function Level Authorization',
  api6: 'Unrestricted Access to Sensitive Business Flows',
  api7: 'Server Side Request Forgery',
  api8: 'Security Misconfiguration',
  api9: 'Improper Inventory Management',
  api10: 'Unsafe Consumption of APIs',
};

export interface TagName {
  short: string;
  name?: string;
  href?: string;
}

/** "attack.t1110.003" to "T1110.003", "Password Spraying" and its page; unknown tags stay as they are. */
export function tagName(tag: string): TagName {
  const [space, ...rest] = tag.split('.');
  const key = rest.join('.');
  if (space === 'attack') {
    const id = key.toUpperCase();
    if (/^T\d{4}(\.\d{3})?$/.test(id)) {
      const name = TECHNIQUES[id] ?? TECHNIQUES[id.slice(0, 5)];
      return { short: id, name, href: `https://attack.mitre.org/techniques/${id.replace('.', '/')}/` };
    }
    const tactic = TACTICS[key.replaceAll('_', '-')];
    if (tactic) return { short: tactic, name: undefined };
  }
  if (space === 'owasp' && OWASP_API[key]) {
    return { short: `OWASP ${key.toUpperCase()}`, name: OWASP_API[key] };
  }
  return { short: tag };
}
