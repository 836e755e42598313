/**
 * push.js: one subscription over many connections.
 *
 *     idle -> connecting -> open -> moving -> open    asked to reconnect: the new one opens, then the old one closes
 *                 ^           |
 *                 +- waiting <+    lost: tried again after a random time that doubles
 *     refused: the server would refuse it again
 *
 * Each connection starts after the newest id: the server replays what was missed, or reports the gap. While moving,
 * messages of the new connection are held until a quiet moment; a message that both bring is delivered once, by its id
 * or its content. If no WebSocket gets through, push.js uses an EventSource.
 *
 * How it moves: no clock decides when the old connection may be closed, or when the new one can bring no more copies; a
 * late segment or a busy page would make that wrong. Pings do. The server queues a pong behind the messages that its node
 * has given to the connection before the ping (plugins/core/subscriber.c). Nodes get a message from Redis at slightly
 * different times, however, and one that stood still may read a ping before older messages: so each side is pinged twice,
 * with a quiet moment in between.
 *
 *     old    ...a b c           ping  pong  .. quiet ..  ping  pong | closed
 *     new            ping b c   ping  pong  .. quiet ..  ping  pong | b and c are copies, and nothing that follows is one
 *
 * If it is never quiet for 1.5 s, the next answers are enough; if the old connection ends, the new one takes over at once.
 * Then copies are known until the new one has answered two pings. A gap that the new one reports is none if the old one has
 * brought the channel's next message, or if the channel has no history: both were open. An event stream cannot be pinged:
 * a time stands in for each answer, and a stream that is later than that may lose or double messages without ids. A server
 * that does not answer at all is left after ten seconds.
 *
 * A token is sent as the first message of a WebSocket: URLs, and headers that a page can set, get into logs. An event
 * stream's URL has a ticket for the same reason. A token that the function returned is used until it is about to expire or
 * was refused; then the function is asked for another one. If that is refused, too, so is the subscription.
 */

/** The picture above shows them. */
export type State = 'idle' | 'connecting' | 'open' | 'moving' | 'waiting' | 'refused';

/** Why a connection ended. */
export interface Why {
	/** The WebSocket's close code. */
	code?: number;
	/** The HTTP status of an event stream that was refused. */
	status?: number;
	/** The server's error text. */
	error?: string;
	/** The connection was silent for too long. */
	silent?: boolean;
	/** Milliseconds until the next try. */
	wait?: number;
}

/** The channels' names. */
export type Names<T> = keyof T & string;

/** A message of a channel; `id` only if the channel has history. */
export interface Message<M = any, C extends string = string> {
	channel: C;
	message: M;
	id?: string;
}

/** The messages of some channels (of all, unless named), told apart by `channel`. */
export type MessageOf<T, C extends Names<T> = Names<T>> = {[K in C]: Message<T[K], K>}[C];

/** `text` is the JSON that the message came in. The message counts as handled once a returned promise settles. */
export type Handler<T, C extends Names<T> = Names<T>> = (message: MessageOf<T, C>, text: string) => unknown;

export interface Handlers<T = Record<string, any>> {
	/** Every message, once. */
	message: Handler<T>;
	/** Messages are missing here. `missed` is their number, if it is known. Without `channel`, any channel may be affected. */
	gap: (gap: {channel?: string; missed?: number | 'unknown'}) => unknown;
	/** The connection was lost, and nothing is missing: `replayed` messages follow or have come. */
	resumed: (data: {replayed: number}) => unknown;
	/** The server does not know the position of this `client`: it starts at the newest message. */
	unknown: () => unknown;
	/** The server refused something; push.js leaves a channel that was refused. */
	error: (data: {channel?: string; channels?: string[]; error: string}) => unknown;
	/** Something came from the server, such as a heartbeat. */
	heard: (event: string) => unknown;
	state: (state: State, why: Why) => unknown;
}

export interface Options<T = Record<string, any>> extends Partial<Handlers<T>> {
	/** A channel, or several. A name must not contain a comma. */
	channels?: Names<T> | Iterable<Names<T>>;
	/** The id of the last message that was handled: the subscription starts after it. */
	id?: string;
	/** Acknowledge each message once its handlers are done. Needs a WebSocket. */
	acks?: boolean;
	/** A name whose position the server keeps; implies `acks`. */
	client?: string;
	/** Use this one only. Default: a WebSocket, or an EventSource if no WebSocket gets through. */
	transport?: 'ws' | 'sse';
	/** The server's heartbeat interval in ms, until push.js has measured it. Default: 30,000. */
	heartbeat?: number;
	/** Shows who you are. A function returns the token, and another one when that expires or is refused. */
	token?: string | (() => string | Promise<string>);
	/** For a runtime that has no WebSocket or EventSource. */
	WebSocket?: (new (url: string) => any) | null;
	EventSource?: (new (url: string) => any) | null;
}

/**
 * A subscription. It is connected while it has channels.
 *
 * `T` gives each channel's messages their type: `new Push<{news: string, [room: `chat:${string}`]: Chat}>(url)`.
 *
 * `for await (const {channel, message} of push)` reads messages from then on. A message counts as handled when the loop
 * asks for the next one; the loop ends with close(), and throws what the server refused.
 */
export class Push<T extends object = Record<string, any>> implements AsyncIterable<MessageOf<T>> {
	/** `url` is http(s), with the path in front of Push's own, if there is one. Throws if an option is misspelt. */
	constructor(url: string | {readonly href: string}, options?: Options<NoInfer<T>>);
	readonly state: State;
	/** The position: the newest id that was received, or, with acks, handled. */
	readonly id: string;
	readonly transport: 'ws' | 'sse' | undefined;
	/** Adds channels; `handler` gets only their messages. Returns a function that ends the subscription. */
	subscribe<C extends Names<T>>(channel: C, handler?: Handler<T, C>): () => void;
	subscribe<C extends Names<T>>(channels: Iterable<C>, handler?: Handler<T, C>): () => void;
	/** Leaves channels, and removes their handlers. */
	unsubscribe(channels: Names<T> | Iterable<Names<T>>): void;
	/** Adds a handler. Returns a function that removes it. */
	on<E extends keyof Handlers<T>>(event: E, handler: Handlers<T>[E]): () => void;
	/** Publishes by HTTP. With `key` (an Idempotency-Key) it may be repeated; `ttl` is '30s' or milliseconds. */
	publish<C extends Names<T>>(channel: C, message: T[C], options?: {key?: string; ttl?: string | number}):
		Promise<{subscribers: number}>;
	/** Tries now, while it waits or after a refusal. */
	retry(): void;
	/** Leaves all channels. */
	close(): void;
	[Symbol.asyncIterator](): AsyncGenerator<MessageOf<T>, void, void>;
}
