/* A static task: an onboarding if it is asked for, an answer, an answer with files, a note, and a way to break. */
import React from 'react'
import ReactDOM from 'react-dom'
import { ErrorBoundary, postData, useMephistoTask } from 'mephisto-task'
import { WhoIsHere, situationOf } from './situation.jsx'

/* global handleSubmitToProvider */

function App() {
  const task = useMephistoTask()
  const situation = situationOf(task)
  if (situation) return situation
  if (task.isOnboarding) return <Onboarding onSubmit={task.handleSubmit} />
  return (
    <ErrorBoundary handleError={task.handleFatalError}>
      <WhoIsHere task={task} />
      <h1>{task.initialTaskData.text}</h1>
      <p>{task.taskConfig.hint}</p>
      <Answer onSubmit={task.handleSubmit} />
      <AnswerWithFiles agentId={task.agentId} />
      <Note onSubmit={task.handleMetadataSubmit} />
      <Breakable />
    </ErrorBoundary>
  )
}

function Onboarding({ onSubmit }) {
  return (
    <>
      <h1>Are you ready?</h1>
      <button onClick={() => onSubmit({ ready: true })}>I am ready</button>
      <button onClick={() => onSubmit({ ready: false })}>I am not</button>
    </>
  )
}

function Answer({ onSubmit }) {
  const [text, setText] = React.useState('')
  const [repeated, setRepeated] = React.useState(1)
  return (
    <section>
      <label>Answer <textarea value={text} onChange={event => setText(event.target.value)} /></label>
      <label>Times <input type="number" value={repeated} onChange={event => setRepeated(Number(event.target.value))} /></label>
      <button onClick={() => onSubmit({ text: text.repeat(repeated) })}>Submit</button>
    </section>
  )
}

/* Files go past the hook: the form is posted with the package's `postData`, as Mephisto's page for HTML tasks does it. */
function AnswerWithFiles({ agentId }) {
  const [said, setSaid] = React.useState('')

  async function submit(event) {
    event.preventDefault()
    const form = new FormData(event.target)
    const answer = { title: form.get('title') }
    form.append('USED_AGENT_ID', agentId)
    form.append('final_string_data', JSON.stringify(answer))
    const { status } = await postData('/submit_task', form)
    handleSubmitToProvider(answer)
    setSaid(status)
  }

  return (
    <form encType="multipart/form-data" onSubmit={submit}>
      <label>Title <input name="title" /></label>
      <label>Photos <input name="photos" type="file" multiple /></label>
      <label>Sound <input name="sound" type="file" /></label>
      <button>Submit with files</button>
      <output aria-label="Upload">{said}</output>
    </form>
  )
}

function Note({ onSubmit }) {
  const [said, setSaid] = React.useState('')
  const send = () => onSubmit({ type: 'opinion', stars: 4 }).then(({ status }) => setSaid(status))
  return (
    <p>
      <button onClick={send}>Send an opinion</button>
      <output aria-label="Opinion">{said}</output>
    </p>
  )
}

function Breakable() {
  const [broken, setBroken] = React.useState(false)
  if (broken) throw new Error('the page broke, as it was told to')
  return <button onClick={() => setBroken(true)}>Break</button>
}

ReactDOM.render(<App />, document.getElementById('app'))
