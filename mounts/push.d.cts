/* The types of push.cjs: those of push.js. */
import type * as esm from './push.js' with {'resolution-mode': 'import'};

export type State = esm.State;
export type Why = esm.Why;
export type Names<T> = esm.Names<T>;
export type Message<M = any, C extends string = string> = esm.Message<M, C>;
export type MessageOf<T, C extends Names<T> = Names<T>> = esm.MessageOf<T, C>;
export type Handler<T, C extends Names<T> = Names<T>> = esm.Handler<T, C>;
export type Handlers<T = Record<string, any>> = esm.Handlers<T>;
export type Options<T = Record<string, any>> = esm.Options<T>;
export type Push<T extends object = Record<string, any>> = esm.Push<T>;
export const Push: typeof esm.Push;
