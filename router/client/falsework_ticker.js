/* A clock for the page, as a worker: browsers slow the timers of a page in the background to one a minute, and a worker
   whose page falls silent counts as gone. Its name gives the milliseconds between two ticks. */
setInterval(() => postMessage('tick'), Number(self.name))
