// Makes a call with the JavaScript SDK of Seam and returns what a program sees of it, in Node.js and in a page alike. It knows
// nothing of scenarios and targets: run.py and run_browser.py decide what is called and where.

import {
  Seam,
  SeamHttpApiError,
  SeamHttpInvalidInputError,
  SeamHttpInvalidResponseError,
  SeamHttpUnauthorizedError,
} from 'seam'

const errorClasses = {
  SeamHttpApiError,
  SeamHttpInvalidInputError,
  SeamHttpInvalidResponseError,
  SeamHttpUnauthorizedError,
}

// The headers of a response that a program may read, while the SDK acts on none of them.
const compared = /^((x-)?ratelimit|deprecation$|sunset$|link$|set-cookie$)/

// Clients are kept, as programs keep them, so that later calls go over connections that earlier ones opened.
const clients = new Map()

// The response to the current call if it was a success: the errors of the SDK have their own.
let successResponse

// The text of the last response, which the HTTP client of the SDK does not keep.
let text

const keepText = (data) => (text = data)

const clientFor = ({ endpoint, credential, retries }) => {
  const key = JSON.stringify([endpoint, credential, retries])
  if (!clients.has(key)) {
    const seam = newClient(endpoint, credential, retries)
    clients.set(key, watched(seam))
  }
  return clients.get(key)
}

const watched = (seam) => {
  seam.client.interceptors.response.use((response) => (successResponse = response))
  seam.client.defaults.transformResponse = [keepText, ...seam.client.defaults.transformResponse]
  return seam
}

const newClient = (endpoint, credential, retries) => {
  const { kind, token, workspace_id: workspaceId, headers } = credential
  const options = {
    endpoint,
    ...(headers == null ? {} : { axiosOptions: { headers } }),
    ...(retries == null ? {} : { axiosRetryOptions: { retries } }),
  }
  switch (kind) {
    case 'api_key':
      return Seam.fromApiKey(token, options)
    case 'personal_access_token':
      return Seam.fromPersonalAccessToken(token, workspaceId, options)
    case 'console_session_token':
      return Seam.fromConsoleSessionToken(token, workspaceId, options)
    case 'client_session_token':
      return Seam.fromClientSessionToken(token, options)
    case 'publishable_key':
      return new Seam({ ...options, publishableKey: token })
    default:
      throw new Error(`unknown kind of credential ${kind}`)
  }
}

// JSON has no dates and nothing that is undefined, which the SDK both takes, so scenarios write them as objects.
const decode = (value) => {
  if (Array.isArray(value)) return value.map(decode)
  if (value === null || typeof value !== 'object') return value
  if ('$undefined' in value) return undefined
  if ('$date' in value) return new Date(value.$date)
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, decode(member)]))
}

const encode = (name, value) => (value === undefined ? { $undefined: true } : value)

const camelCase = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase())

const calls = {
  // What SeamHttp.fromPublishableKey returns is a client, so the session of that client is what is seen of it.
  from_publishable_key: async ({ endpoint, credential }, { user_identifier_key: userIdentifierKey }) => {
    const seam = await Seam.fromPublishableKey(credential.token, userIdentifierKey, { endpoint })
    return await seam.clientSessions.get()
  },

  update_client_session_token: async ({ endpoint, credential }, { token }) => {
    const seam = watched(Seam.fromClientSessionToken(credential.token, { endpoint }))
    await seam.updateClientSessionToken(token)
    return await seam.clientSessions.get()
  },

  // The way to send what the SDK's methods do not: older SDKs POST everything.
  request: async (call, { method, path, query, json }) => {
    const { data } = await clientFor(call).client.request({ method, url: path, params: query, data: json })
    return data
  },
}

const callMethod = async (call, params) => {
  const { clientSessions } = clientFor(call)
  return await clientSessions[camelCase(call.call)](...(params === undefined ? [] : [params]))
}

const seenError = (error) => {
  const { response } = error.cause ?? error
  const seen = {
    class: error.constructor.name,
    name: error.name,
    is: Object.keys(errorClasses).filter((name) => error instanceof errorClasses[name]),
    message: error.message,
    status: error.statusCode ?? error.response?.status,
  }
  if ('code' in error) seen.code = error.code
  if ('data' in error) seen.data = error.data
  if ('requestId' in error) seen.request_id = error.requestId
  if ('validationErrors' in error) seen.validation_errors = error.validationErrors
  return { error: seen, ...seenResponse(response) }
}

const seenResponse = (response) => {
  if (response == null) return {}
  const { status, headers } = response
  return {
    response: {
      status,
      content_type: headers['content-type'] ?? null,
      retry_after: headers['retry-after'] ?? null,
      request_id: headers['seam-request-id'] ?? null,
      headers: Object.fromEntries(Object.entries(headers).filter(([name]) => compared.test(name))),
      text,
    },
  }
}

const see = async (call) => {
  successResponse = text = undefined
  try {
    const value = await (calls[call.call] ?? callMethod)(call, decode(call.params))
    return { value, ...seenResponse(successResponse) }
  } catch (error) {
    // A success that the SDK then fails to decode is not on its error.
    return { ...seenResponse(successResponse), ...seenError(error) }
  }
}

// Takes a call and returns what was seen of it, both as lines of JSON.
export const respond = async (line) => JSON.stringify(await see(JSON.parse(line)), encode)
