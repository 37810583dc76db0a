import { CONFIG_KEYS, flagName, settingMeta, variableName } from './schema.ts';

/** The text of docs/configuration.md, made from the schema; a test keeps the file equal to it. */
export function renderConfigurationDoc(): string {
  const sections = CONFIG_KEYS.map((key) => {
    const meta = settingMeta(key);
    const value = meta.value === '' ? 'a switch' : `\`${meta.value}\``;
    return [
      `## ${key}`,
      '',
      `${meta.description}.`,
      '',
      `- Flag: \`${flagName(key)}\`, variable: \`${variableName(key)}\`, key in the file: \`${key}\``,
      `- Value: ${value}; default: ${meta.shownDefault}`,
      '',
    ].join('\n');
  });
  return `${INTRODUCTION}\n${sections.join('\n')}`;
}

const INTRODUCTION = `# Configuration

Everything works without any of this. A value is taken from the first of these that has it: flag,
environment variable, file (\`tephra serve --config FILE\` or \`TEPHRA_CONFIG\`), default. The file is
one JSON object with the keys below. A value that is not understood stops the start with exit code 2
and a message that names where it came from.

Durations are a whole number and a unit: \`500ms\`, \`90s\`, \`10m\`, \`24h\`, \`31d\`; the word
\`unlimited\` stands for no limit. Sizes are \`512B\`, \`64KiB\`, \`16MiB\`, \`1GiB\`.

\`\`\`json
{ "listen": "127.0.0.1:4040", "dataDir": "/var/lib/tephra", "retentionRaw": "12h" }
\`\`\`
`;
