"""The edge: a request in, a personalised fragment out. No network, disk or lock between the two.

Read in this order; a module imports only from the ones above it:

    errors        what can go wrong at the edge, and what to do about it
    cdns          which headers of each CDN say what of a visitor
    config        every setting, with its unit, its default and its reason
    settings      flags, environment and file in; one Config out, whose values can work together
    problems      RFC 9457 problem documents
    metrics       counters in shared memory, summed over workers
    wire          bodies and queries in, typed values out; replies out
    connections   how many a worker holds, and whether replies end them
    exchange      one HTTP exchange: body in within its limit, reply out, who may write
    atlas         where an address is, by an mmdb file
    cors          pages of other origins: who may ask from there, and read the reply
    proxies       whose word counts about a visitor's place and address
    ratelimit     who asks and how much in; whether that is within their limit out
    keyring       the secrets that sign: a JWKS in, keys out; reloads while serving
    tokens        HS256 JWTs: sign, verify, why not
    apikeys       keys of the site's servers: a file of hashes in; whose a key is out
    oauth         access tokens: a JWT in; which client it is, what it may, out
    callers       servers that ask: a credential in; who it is and what it may, or a refusal, out
    sealing       a profile that only our keys open: AES-SIV by keys derived from those that sign
    cookies       signed cookies: read, verify, write
    choosing      what counts besides the choice there is: signals, places, TC strings
    exposure      the x token: what was served, signed
    previews      preview tokens: names in replies, chosen variants
    identify      sign-in tokens of the site's server: who the customer is
    fresh         facts tokens of the site's server: what it knows of a visitor now
    agents        a user agent and its hints in; kind, system and browser out
    context       headers in; place, time zone, device, referrer out
    sinks         where event rows go (a package)
    erasures      whom this node forgets at once, until a snapshot lists them
    asked         what was known of those who asked just now
    refresh       which snapshot is served now, and the one assignment that changes it
    visit         one request with its pinned snapshot, time, ids, grants and facts
    flags         what a server knows of somebody in; what a slot or experiment is for them out
    recommending  what a server knows of somebody in; the items that are recommended to them out
    reception     a request in; its visit, and the cookies that it may take away, out
    intake        events in, a new profile and log rows out
    services      the parts that routes share
    answers       a visit's decisions as replies carry them
    access        what is held of who asks, and why they see what they see
    access_page   the same as a page to read
    openapi       what the public listener answers, for tools (a package)
    routes        one file per resource (a package)
    app           the composition root
    worker        one serving process: follows the local copy, keeps its log, says how it is
    uploads       brings event files into the store, in a thread of its own
    admin         status, metrics, explain: the private listener
    node          one process per node: syncer, admin, and Granian's workers
    published     what a store holds, for commands that look at it
    private       bytes in, a file that its owner alone can read, out
    publishing    the store and the keys of commands that publish, and how they tell what they did
    sarif         problems as code hosts take them
    commands      one file per command (a package)
    cli           the one command
"""
