// What a page transfers.

/** Counts the requests of a page from now on. */
export async function observe(page) {
    const requests = new Map();
    const at = (id) => {
        if (!requests.has(id)) {
            requests.set(id, { url: "", bytes: 0, statuses: [] });
        }
        return requests.get(id);
    };
    const session = await page.createCDPSession();
    session.on("Network.requestWillBeSent", ({ requestId, request, redirectResponse }) => {
        const entry = at(requestId);
        entry.url = request.url;
        entry.bytes += redirectResponse?.encodedDataLength ?? 0;
    });
    session.on("Network.webSocketCreated", ({ requestId, url }) => {
        at(requestId).url = url;
    });
    // Only answers of the service have this event. A revalidation has the status 304 here and 200 elsewhere.
    session.on("Network.responseReceivedExtraInfo", ({ requestId, statusCode }) => {
        at(requestId).statuses.push(statusCode);
    });
    session.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
        at(requestId).bytes += encodedDataLength;
    });
    await session.send("Network.enable");
    return {
        /** All requests so far. */
        all: () => [...requests.values()],
        /** The bytes so far, with the fields of the headers, compressed as they were sent. */
        bytes: () => [...requests.values()].reduce((sum, { bytes }) => sum + bytes, 0),
        /** The requests whose body was transferred. */
        transferred: () =>
            [...requests.values()].filter(({ statuses }) => statuses.some((status) => status < 300 || status >= 400)),
    };
}
