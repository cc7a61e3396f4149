// Lets TypeScript import style sheets.
declare module '*.css';
