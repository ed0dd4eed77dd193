/* A live task: everything that comes is shown in order, what is typed is sent, and the whole is handed in. */
import React from 'react'
import ReactDOM from 'react-dom'
import { useMephistoLiveTask } from 'mephisto-task'
import { WhoIsHere, situationOf } from './situation.jsx'

function App() {
  const [heard, hear] = React.useReducer((before, update) => [...before, update], [])
  const task = useMephistoLiveTask({ onLiveUpdate: hear })
  const { agentId, connect } = task
  React.useEffect(() => {
    if (agentId) connect(agentId)
  }, [agentId])
  return (
    situationOf(task) ?? (
      <>
        <WhoIsHere task={task} />
        <output aria-label="Status">{task.agentStatus}</output>
        <output aria-label="Connection">{task.connectionStatus}</output>
        <h1>{task.initialTaskData.topic}</h1>
        <ol>{heard.map(update => <li key={update.update_id}>{update.text}</li>)}</ol>
        <Speech onSend={task.sendLiveUpdate} />
        <button onClick={() => task.handleSubmit({ heard: heard.map(({ text }) => text) })}>Hand in</button>
      </>
    )
  )
}

function Speech({ onSend }) {
  const [text, setText] = React.useState('')
  const [sent, setSent] = React.useState('')
  return (
    <p>
      <label>Message <input value={text} onChange={event => setText(event.target.value)} /></label>
      <button onClick={() => onSend({ text }).then(update => setSent(update.text))}>Send</button>
      <output aria-label="Sent">{sent}</output>
    </p>
  )
}

ReactDOM.render(<App />, document.getElementById('app'))
