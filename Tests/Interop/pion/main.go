// A WHIP publisher or WHEP player on Pion, for the interoperability tests. Each line that it prints is a JSON object.
//
//	pion publish URL FILE.ivf | pion play URL
//
// It ends when its input does: then it deletes its session first.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v3"
	"github.com/pion/webrtc/v3/pkg/media"
	"github.com/pion/webrtc/v3/pkg/media/ivfreader"
)

type counters struct{ audio, video, keyFrames, missing, pictureLoss int64 }

func say(values map[string]interface{}) {
	line, _ := json.Marshal(values)
	fmt.Println(string(line))
}

func check(err error) {
	if err != nil {
		say(map[string]interface{}{"error": err.Error()})
		os.Exit(1)
	}
}

// exchange sends the offer and applies the answer; returns the session's address.
func exchange(pc *webrtc.PeerConnection, target string) string {
	offer, err := pc.CreateOffer(nil)
	check(err)
	gathered := webrtc.GatheringCompletePromise(pc)
	check(pc.SetLocalDescription(offer))
	<-gathered
	answer, err := http.Post(target, "application/sdp", strings.NewReader(pc.LocalDescription().SDP))
	check(err)
	body, err := io.ReadAll(answer.Body)
	check(err)
	if answer.StatusCode != http.StatusCreated {
		check(fmt.Errorf("POST was answered with %d: %s", answer.StatusCode, body))
	}
	check(pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(body)}))
	base, err := url.Parse(target)
	check(err)
	session, err := base.Parse(answer.Header.Get("Location"))
	check(err)
	return session.String()
}

func play(pc *webrtc.PeerConnection, count *counters) {
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
		_, err := pc.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly})
		check(err)
	}
	pc.OnTrack(func(track *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
		isVideo := track.Kind() == webrtc.RTPCodecTypeVideo
		last, started := uint16(0), false
		for {
			packet, _, err := track.ReadRTP()
			if err != nil {
				return
			}
			if step := int16(packet.SequenceNumber - last); started && step > 1 {
				atomic.AddInt64(&count.missing, int64(step-1))
			}
			if !started || int16(packet.SequenceNumber-last) > 0 {
				last, started = packet.SequenceNumber, true
			}
			if !isVideo {
				atomic.AddInt64(&count.audio, 1)
			} else if packet.Marker {
				atomic.AddInt64(&count.video, 1)
			}
		}
	})
}

// readFeedback counts what the server asks for.
func readFeedback(sender *webrtc.RTPSender, count *counters) {
	for {
		packets, _, err := sender.ReadRTCP()
		if err != nil {
			return
		}
		for _, packet := range packets {
			switch packet.(type) {
			case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
				atomic.AddInt64(&count.pictureLoss, 1)
			}
		}
	}
}

func publish(pc *webrtc.PeerConnection, path string, count *counters) {
	video, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8}, "video", "pion")
	check(err)
	audio, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus}, "audio", "pion")
	check(err)
	for _, track := range []webrtc.TrackLocal{video, audio} {
		sender, err := pc.AddTrack(track)
		check(err)
		go readFeedback(sender, count)
	}
	go func() {
		// 20 ms of silence (RFC 6716 §3.1: SILK wideband, one frame without content).
		for range time.Tick(20 * time.Millisecond) {
			_ = audio.WriteSample(media.Sample{Data: []byte{0x48}, Duration: 20 * time.Millisecond})
			atomic.AddInt64(&count.audio, 1)
		}
	}()
	go func() {
		tick := time.NewTicker(time.Second / 30)
		for {
			file, err := os.Open(path)
			check(err)
			reader, _, err := ivfreader.NewWith(file)
			check(err)
			for range tick.C {
				frame, _, err := reader.ParseNextFrame()
				if err != nil {
					break
				}
				_ = video.WriteSample(media.Sample{Data: frame, Duration: time.Second / 30})
				atomic.AddInt64(&count.video, 1)
			}
			file.Close()
		}
	}()
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: pion publish URL FILE.ivf | pion play URL")
		os.Exit(64)
	}
	pc, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	check(err)
	var count counters
	if os.Args[1] == "publish" {
		publish(pc, os.Args[3], &count)
	} else {
		play(pc, &count)
	}
	session := exchange(pc, os.Args[2])
	began := time.Now()
	go func() {
		for range time.Tick(200 * time.Millisecond) {
			say(map[string]interface{}{
				"at": time.Since(began).Seconds(), "state": pc.ConnectionState().String(),
				"audio": atomic.LoadInt64(&count.audio), "video": atomic.LoadInt64(&count.video),
				"missing": atomic.LoadInt64(&count.missing), "pictureLoss": atomic.LoadInt64(&count.pictureLoss),
			})
		}
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
	request, err := http.NewRequest(http.MethodDelete, session, nil)
	check(err)
	answer, err := http.DefaultClient.Do(request)
	check(err)
	say(map[string]interface{}{"deleted": answer.StatusCode})
	check(pc.Close())
}
